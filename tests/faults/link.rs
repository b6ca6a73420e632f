//! A TCP connection that can be held: nothing is lost, and nothing comes through until it is let go.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Larger pieces are forwarded in several steps.
const PIECE: usize = 64 * 1024;

/// A forwarder to one address.
pub struct Link {
    /// Address of the listener.
    pub address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Link {
    /// Forwards to `upstream` until the runtime ends.
    pub async fn to(upstream: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let open = watch::Sender::new(true);
        let state = open.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, upstream, state.clone()));
            }
        });
        Ok(Self { address, open })
    }

    /// Holds everything, or lets it go.
    pub fn hold(&self, held: bool) {
        self.open.send_replace(!held);
    }
}

async fn join(client: TcpStream, upstream: SocketAddr, open: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(forward(from_client, to_server, open.clone()), forward(from_server, to_client, open));
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut open: watch::Receiver<bool>,
) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let Some(read) = piece.get(..length) else { return };
        if open.wait_for(|open| *open).await.is_err() || to.write_all(read).await.is_err() {
            return;
        }
    }
}
