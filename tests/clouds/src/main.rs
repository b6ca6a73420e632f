//! The fakes of managed services as a program: prints the addresses as one line of JSON, and serves until it is ended.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use roadstead_clouds::{CloudSettings, Clouds, rules};

/// Stateful fakes of managed services.
#[derive(Parser)]
#[command(name = "clouds")]
struct Options {
    /// Address of the administrative interface; the services get free ports of the same address
    #[arg(long, default_value = "127.0.0.1:0")]
    admin: SocketAddr,
    /// File with settings, in JSON
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Seconds of the services' clock in a second of the machine; overrides the settings
    #[arg(long)]
    pace: Option<u32>,
    /// Print every rule of behaviour with its source, and end
    #[arg(long)]
    rules: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.rules {
        print_rules();
        return Ok(());
    }
    let mut settings = match &options.settings {
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))?
        }
        None => CloudSettings::default(),
    };
    settings.pace = options.pace.unwrap_or(settings.pace);
    let mut clouds = Clouds::start_at(settings, options.admin).await?;
    println!("{}", serde_json::to_string(&clouds.urls)?);
    clouds.ended().await;
    anyhow::bail!("a server has ended")
}

fn print_rules() {
    for (service, rules) in rules() {
        println!("{service:?}");
        for rule in rules {
            println!("  {}", rule.line());
        }
    }
}
