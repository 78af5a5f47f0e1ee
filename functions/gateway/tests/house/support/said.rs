//! What a process says, line by line, while it runs and after it has ended.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::Child,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use serde_json::Value;

use super::until;

/// All that a process has said so far, to both of its outputs.
#[derive(Debug)]
pub struct Said {
    lines: Arc<Mutex<Vec<String>>>,
    readers: [JoinHandle<()>; 2],
}

impl Said {
    /// Listens to a process whose outputs are pipes, and passes on where it says it listens.
    pub fn by(child: &mut Child) -> (Self, mpsc::Receiver<SocketAddr>) {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (told, address) = mpsc::channel();
        let stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let readers = [read(stdout, lines.clone(), Some(told)), read(stderr, lines.clone(), None)];
        (Self { lines, readers }, address)
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all is heard that it will ever say. That a process has ended doesn't mean
    /// that its last lines were read: they may still be in the pipe.
    pub fn wait_for_the_end(&self) {
        let is_over = || self.readers.iter().all(JoinHandle::is_finished).then_some(());
        until("its outputs to end", is_over);
    }
}

/// Reads an output to its end, and tells which addresses are in it.
fn read(
    output: impl Read + Send + 'static,
    lines: Arc<Mutex<Vec<String>>>,
    told: Option<mpsc::Sender<SocketAddr>>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let address = address_in(&line);
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            if let (Some(told), Some(address)) = (&told, address) {
                let _nobody_waits = told.send(address);
            }
        }
    })
}

/// The address in the line that tells where a process listens.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["address"].as_str()?.parse().ok()
}
