//! Bounds what a member can answer: it fills no buffers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use kube::client::Body as KubeBody;
use tower::{BoxError, Layer, Service};

/// The longest answer that is read: a page of 500 objects of 64 KiB each.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// The longest line of a watch: no API server stores a larger object.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Bounds the answers of the service inside it.
pub struct BoundedLayer;

impl<S> Layer<S> for BoundedLayer {
    type Service = BoundedAnswers<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BoundedAnswers { inner }
    }
}

/// A client service whose answers end with an error where they are too long.
pub struct BoundedAnswers<S> {
    inner: S,
}

impl<S, B> Service<Request<KubeBody>> for BoundedAnswers<S>
where
    S: Service<Request<KubeBody>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<BoundedBody<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<KubeBody>) -> Self::Future {
        let bound = if is_watch(&request) { Bound::Line } else { Bound::Answer };
        let answer = self.inner.call(request);
        Box::pin(async move { Ok(answer.await?.map(|inner| BoundedBody::new(inner, bound))) })
    }
}

fn is_watch<T>(request: &Request<T>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|parameter| matches!(parameter, "watch=true" | "watch=1"))
}

/// Limited quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// All that is answered.
    Answer,
    /// Each line: a watch is answered for as long as it lives.
    Line,
}

impl Bound {
    const fn bytes(self) -> usize {
        match self {
            Self::Answer => MAX_ANSWER_BYTES,
            Self::Line => MAX_LINE_BYTES,
        }
    }
}

/// The answer of a member is longer than any honest one.
#[derive(Debug, thiserror::Error)]
#[error("the answer exceeds {} MiB", limit / 1024 / 1024)]
struct TooLong {
    limit: usize,
}

/// An answer that ends with an error where it is too long.
pub struct BoundedBody<B> {
    inner: B,
    bound: Bound,
    read: usize,
}

impl<B> BoundedBody<B> {
    fn new(inner: B, bound: Bound) -> Self {
        Self { inner, bound, read: 0 }
    }

    fn count(&mut self, data: &[u8]) -> Result<(), TooLong> {
        // Lines that end inside one piece are no longer than the piece, which the transport bounds.
        let rest = match self.bound {
            Bound::Line => data.iter().rposition(|byte| *byte == b'\n').map(|at| data.len() - at - 1),
            Bound::Answer => None,
        };
        let limit = self.bound.bytes();
        self.read = rest.unwrap_or_else(|| self.read.saturating_add(data.len()));
        if self.read > limit { Err(TooLong { limit }) } else { Ok(()) }
    }
}

impl<B> Body for BoundedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let counted = frame.data_ref().map_or(Ok(()), |data| self.count(data));
        Poll::Ready(Some(counted.map(|()| frame).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};

    async fn read(bound: Bound, pieces: Vec<Bytes>) -> Result<usize, String> {
        let frames = futures::stream::iter(pieces.into_iter().map(|piece| Ok::<_, BoxError>(Frame::data(piece))));
        let body = BoundedBody::new(StreamBody::new(frames), bound);
        body.collect().await.map(|all| all.to_bytes().len()).map_err(|error| error.to_string())
    }

    fn mebibytes(count: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![b'x'; 1024 * 1024]); count]
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bound() {
        assert_eq!(read(Bound::Answer, mebibytes(32)).await, Ok(MAX_ANSWER_BYTES));
        let error = read(Bound::Answer, mebibytes(33)).await.unwrap_err();
        assert!(error.contains("exceeds 32 MiB"), "{error}");
    }

    #[tokio::test]
    async fn a_watch_may_go_on_for_ever_but_each_line_is_bounded() {
        let mut lines = mebibytes(3);
        lines.push(Bytes::from_static(b"\n"));
        let watch: Vec<Bytes> = lines.iter().cycle().take(4 * 20).cloned().collect();
        assert!(read(Bound::Line, watch).await.is_ok());
        let error = read(Bound::Line, mebibytes(5)).await.unwrap_err();
        assert!(error.contains("exceeds 4 MiB"), "{error}");
    }

    #[test]
    fn a_watch_is_told_by_its_parameter() {
        let asked = |uri: &str| is_watch(&Request::get(uri).body(()).unwrap());
        assert!(asked("/api/v1/pods?limit=5&watch=true") && asked("/api/v1/pods?watch=1"));
        assert!(!asked("/api/v1/pods") && !asked("/api/v1/pods?labelSelector=watch%3Dtrue"));
    }
}
