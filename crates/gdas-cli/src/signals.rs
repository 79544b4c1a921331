//! Signals set a flag; the library reads it at every step.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gdas::run::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::host;

/// With this variable set, the end of standard input asks for a stop as SIGTERM does. A process that starts another
/// this way stops it by closing the pipe, and takes it along when it is killed itself.
pub(crate) const STOP_WITH_STDIN: &str = "GDAS_STOP_WITH_STDIN";

/// Lets SIGINT (Ctrl-C), SIGTERM and SIGUSR1 ask for a stop at the next step. A second SIGINT does not wait for it. A
/// program that called the command has its own way to ask, and no signal is touched.
pub(crate) fn install() -> io::Result<Interrupt> {
    if let Some(interrupt) = host::interrupt() {
        return Ok(interrupt);
    }
    let interrupt = Interrupt::default();
    // The order matters: at the first SIGINT the shutdown is not armed yet.
    let armed = Arc::new(AtomicBool::new(false));
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&armed))?;
    flag::register(SIGINT, armed)?;
    for signal in signals() {
        flag::register_usize(signal, interrupt.flag(), signal as usize)?;
    }
    if std::env::var_os(STOP_WITH_STDIN).is_some() {
        let interrupt = interrupt.clone();
        std::thread::spawn(move || {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            interrupt.request();
        });
    }
    Ok(interrupt)
}

#[cfg(unix)]
fn signals() -> [i32; 3] {
    [SIGINT, SIGTERM, signal_hook::consts::SIGUSR1]
}

#[cfg(not(unix))]
fn signals() -> [i32; 2] {
    [SIGINT, SIGTERM]
}
