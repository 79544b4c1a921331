use clap::Args;
use gdas_data::Status;
use serde_json::json;

use crate::output::{self, table};

/// Show what gdas finds on this machine: threads, vector units, memory, data
#[derive(Args)]
#[command(after_help = "Examples:
  gdas doctor
  gdas doctor --json")]
pub(crate) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Doctor) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let directory = gdas_data::data_directory();
    let mut here = vec!["digits".to_string()];
    if let Ok(directory) = &directory {
        let found = gdas_data::list(directory).into_iter().filter(|set| matches!(set.status, Status::Present(_)));
        here.extend(found.map(|set| set.name));
    }
    let directory = directory.map_or_else(|error| error.to_string(), |path| path.display().to_string());
    let memory = available_memory();
    let features = vector_features();
    if command.json {
        return output::json(&json!({
            "version": env!("CARGO_PKG_VERSION"), "target": target(), "threads": threads,
            "vector_features": features, "available_memory": memory, "data_directory": directory, "data": here,
        }));
    }
    let rows = [
        ("gdas", format!("{} for {}", env!("CARGO_PKG_VERSION"), target())),
        ("threads", threads.to_string()),
        ("vector units", if features.is_empty() { "baseline".to_string() } else { features.join(" ") }),
        ("memory free", memory.map_or_else(|| "unknown".to_string(), gdas::cost::readable_bytes)),
        ("data in", directory),
        ("data here", here.join(" ")),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    Ok(output::line(table(&rows))?)
}

fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// What the kernels can use of this processor.
fn vector_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ];
        found.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
    }
    #[cfg(target_arch = "aarch64")]
    {
        vec!["neon"]
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        Vec::new()
    }
}

/// Bytes that programs can still get, where the system says so (Linux).
pub(crate) fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
