use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::serve::{Options, Server};
use crate::{output, signals};

/// Show runs in the browser, live
///
/// Lists the runs, and follows those at work: curves that move, cells that change. It only reads, unless --control
/// lets it pause, stop and resume runs. Other machines reach it only with --address, and then only with the token
/// that it prints.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas serve
  gdas serve --runs /data/runs --port 8080
  gdas serve --control
  gdas serve --address 0.0.0.0 --token \"$TOKEN\"
  gdas serve --base-path /gdas                    behind a proxy that hands /gdas/ on")]
pub(crate) struct Serve {
    /// Port to listen on; 0 takes any free one
    #[arg(long, value_name = "N", default_value = "7007")]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// What a browser must know [default: none on this machine alone, else made up and printed]
    #[arg(long, value_name = "TEXT", value_parser = token)]
    token: Option<String>,
    /// Let the page pause, stop and resume runs
    #[arg(long)]
    control: bool,
    /// What all addresses begin with, for a proxy that hands on a part of its own addresses and leaves them as they are
    #[arg(long, value_name = "PATH", default_value = "", value_parser = base_path, hide_default_value = true)]
    base_path: String,
    /// Directory that holds all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
}

/// A path without a slash at its end: nothing, or `/` and a name, once or more. Only plain characters mean the same to
/// every proxy.
fn base_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let plain = |part: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(known)
    };
    match path.strip_prefix('/') {
        None if path.is_empty() => Ok(String::new()),
        Some(parts) if parts.split('/').all(plain) => Ok(path.to_owned()),
        _ => Err("expected a path such as /gdas, of letters, digits and - _ . ~".to_owned()),
    }
}

/// A token travels in a cookie and an address, so only plain characters will do.
fn token(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain && text.len() >= 8 {
        Ok(text.to_owned())
    } else {
        Err("it needs at least eight letters, digits, - or _".to_owned())
    }
}

pub(crate) fn run(command: &Serve) -> anyhow::Result<()> {
    let token = match (&command.token, command.address.is_loopback()) {
        (Some(token), _) => Some(token.clone()),
        (None, true) => None,
        (None, false) => Some(random_token()?),
    };
    let interrupt = signals::install().context("cannot listen for signals")?;
    let base = command.base_path.clone();
    let options = Options { runs: command.runs.clone(), token: token.clone(), control: command.control, base };
    let server = Server::bind(SocketAddr::new(command.address, command.port), options, &interrupt)?;
    let query = token.map_or_else(String::new, |token| format!("?token={token}"));
    output::line(format_args!("http://{}{}/{query}", server.address()?, command.base_path))?;
    output::note("Ctrl-C ends it");
    Ok(server.run()?)
}

/// 128 bits of the operating system's randomness, as text.
fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_paths() {
        for (given, path) in
            [("", ""), ("/", ""), ("//", ""), ("/gdas", "/gdas"), ("/gdas/", "/gdas"), ("/a/b-1", "/a/b-1")]
        {
            assert_eq!(base_path(given).as_deref(), Ok(path), "{given}");
        }
        for wrong in ["gdas", "/a//b", "/..", "/a/./b", "/a b", "/{name}", "/*x", "http://x/y", "/a?b", "/\u{e4}"] {
            assert!(base_path(wrong).is_err(), "{wrong}");
        }
    }
}
