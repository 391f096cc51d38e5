//! Any process of this host: its mappings, descriptors and threads, which tell native memory from managed and from mapped files.
//!
//! The process is not stopped: the kernel is asked. Neither its environment nor its arguments nor any content is read. The format is
//! `docs/profiles.md`'s `leakscope-process/1`.

mod held;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use leakscope_model::{Bytes, CaptureKind, Cost, Lacking, Means};
use tokio::sync::mpsc;

use super::{CaptureError, Found, Output, Subject, Taken};
use crate::proc;
use held::{descriptors, threads};

/// Most bytes of `smaps` that are kept: 90,000 mappings. Beyond: the rest is left out, and a line says so.
const SMAPS_BYTES_MAX: usize = 64 << 20;
/// Bytes read at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait for the disk. Full: the reader waits.
const PIECES_WAITING: usize = 4;
/// Bytes of `smaps` for each mapping.
const BYTES_PER_MAPPING: u64 = 700;

/// What any process of this host gives, whatever its runtime.
pub(crate) async fn survey(subject: &Subject) -> Found {
    let Some(pid) = subject.pid else {
        let reason = "it is no process that this leakscope sees".to_owned();
        let remedy = "run a leakscope on its host, with the host's process namespace (`--pid=host`)".to_owned();
        let lacking = Lacking { kind: CaptureKind::ProcessMap, reason, remedy };
        return Found { lacking: vec![lacking], ..Found::default() };
    };
    let looked = tokio::task::spawn_blocking(move || look(pid)).await;
    looked.unwrap_or_default()
}

fn look(pid: u32) -> Found {
    let folder = proc::folder(pid);
    let mut found = Found::default();
    let readable = File::open(folder.join("smaps")).and_then(|mut smaps| smaps.read(&mut [0; 1]));
    match readable {
        Ok(_) => {
            let maps = proc::read(&folder.join("maps"), SMAPS_BYTES_MAX as u64).unwrap_or_default();
            let n_mappings = maps.split(|byte| *byte == b'\n').count() as u64;
            let hint = Cost { size: Bytes(n_mappings * BYTES_PER_MAPPING), ..Cost::default() };
            let way = "mappings, descriptors and threads from `/proc`".to_owned();
            found.means.push(Means { kind: CaptureKind::ProcessMap, way, hint });
        }
        Err(error) => found.lacking.push(Lacking {
            kind: CaptureKind::ProcessMap,
            reason: format!("`/proc/{pid}/smaps` cannot be read: {error}"),
            remedy: "run leakscope as the process' user or as root, in a container with `CAP_SYS_PTRACE`".to_owned(),
        }),
    }
    found
}

/// Takes the mappings, descriptors and threads of a process.
///
/// # Errors
/// [`CaptureError`].
pub(crate) async fn take(
    subject: &Subject,
    _kind: CaptureKind,
    output: &mut Output<'_>,
) -> Result<Taken, CaptureError> {
    let gone = || CaptureError::Unavailable("it is no process that this leakscope sees".to_owned());
    let pid = subject.pid.ok_or_else(gone)?;
    let started_at = proc::started_at(pid).ok_or(CaptureError::Died)?;
    let (sender, mut pieces) = mpsc::channel(PIECES_WAITING);
    // Ends by itself when nobody wants its pieces any more.
    let reading = tokio::task::spawn_blocking(move || send(pid, &sender));
    while let Some(piece) = pieces.recv().await {
        output.write(&piece)?;
    }
    let read = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    // A process that has ended has no mappings.
    if !proc::is_alive(pid) || proc::started_at(pid) != Some(started_at) {
        return Err(CaptureError::Died);
    }
    read.map_err(|source| CaptureError::Broken { from: format!("`/proc/{pid}`"), source })?;
    Ok(Taken { armed: false, process_started_at: Some(started_at) })
}

/// Sends the text, section by section. What may not be read but the mappings is left out.
fn send(pid: u32, pieces: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    let folder = proc::folder(pid);
    let say = |text: String| pieces.blocking_send(text.into_bytes()).map_err(|_| unwanted());
    let status = proc::read(&folder.join("status"), proc::PROC_BYTES_MAX).unwrap_or_default();
    say(format!("leakscope-process/1\ntime {}\n# status\n", crate::clock::now().as_millis()))?;
    pieces.blocking_send(status).map_err(|_| unwanted())?;
    say("# smaps\n".to_owned())?;
    send_smaps(&folder, pieces)?;
    say(format!("# descriptors\n{}# threads\n{}# end\n", descriptors(&folder), threads(&folder)))
}

/// Sends `smaps` in pieces that end with a line.
fn send_smaps(folder: &Path, pieces: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    let mut smaps = File::open(folder.join("smaps"))?;
    let mut n_sent = 0;
    let mut piece = vec![0; PIECE_BYTES];
    let mut filled = 0;
    loop {
        let n = smaps.read(&mut piece[filled..])?;
        filled += n;
        if n > 0 && filled < piece.len() {
            continue;
        }
        let end =
            if n == 0 { filled } else { piece.iter().rposition(|byte| *byte == b'\n').map_or(filled, |at| at + 1) };
        let rest = piece[end..filled].to_vec();
        n_sent += end;
        pieces.blocking_send(piece[..end].to_vec()).map_err(|_| unwanted())?;
        piece[..rest.len()].copy_from_slice(&rest);
        filled = rest.len();
        if n == 0 {
            return Ok(());
        }
        if n_sent >= SMAPS_BYTES_MAX {
            let cut = format!("# cut at {n_sent} bytes\n");
            return pieces.blocking_send(cut.into_bytes()).map_err(|_| unwanted());
        }
    }
}

fn unwanted() -> io::Error {
    io::Error::other("nobody wants it any more")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use leakscope_model::Runtime;

    use super::*;
    use crate::capture::go::tests::subject;
    use crate::config::Capture;

    fn of(pid: u32) -> Subject {
        Subject { http: None, ..subject("127.0.0.1:1", Some(pid), Runtime::Unknown, Capture::default()) }
    }

    #[tokio::test]
    async fn this_very_process_has_mappings_descriptors_and_threads() {
        let subject = of(std::process::id());
        let found = survey(&subject).await;
        assert_eq!(found.means[0].kind, CaptureKind::ProcessMap);
        let mut file = Vec::new();
        let taken =
            take(&subject, CaptureKind::ProcessMap, &mut Output::new(&mut file, Bytes(64 << 20))).await.unwrap();
        assert_eq!(taken.process_started_at, proc::started_at(std::process::id()));
        let text = String::from_utf8(file).unwrap();
        let sections: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(sections, ["# status", "# smaps", "# descriptors", "# threads", "# end"]);
        assert!(text.starts_with("leakscope-process/1\ntime 1") && text.contains(" [heap]\nSize:"), "{text}");
        let held = text.split("# descriptors\n").nth(1).unwrap();
        assert!(held.lines().any(|line| line.ends_with(" anon_inode:[eventpoll]")), "{held}");
    }

    #[tokio::test]
    async fn evidence_that_is_too_large_ends_the_reading() {
        let mut file = Vec::new();
        let subject = of(std::process::id());
        let error = take(&subject, CaptureKind::ProcessMap, &mut Output::new(&mut file, Bytes(100))).await.unwrap_err();
        assert!(matches!(error, CaptureError::TooLarge(Bytes(100))), "{error}");
    }

    #[tokio::test]
    async fn a_process_that_has_ended_gives_nothing() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let subject = of(child.id());
        child.kill().unwrap();
        // poll: it is a zombie until it is waited for
        while proc::is_alive(child.id()) {
            tokio::task::yield_now().await;
        }
        let mut file = Vec::new();
        let taken = take(&subject, CaptureKind::ProcessMap, &mut Output::new(&mut file, Bytes(1 << 20))).await;
        assert!(matches!(taken, Err(CaptureError::Died)), "{taken:?}");
        child.wait().unwrap();
        let taken = take(&subject, CaptureKind::ProcessMap, &mut Output::new(&mut file, Bytes(1 << 20))).await;
        assert!(matches!(taken, Err(CaptureError::Died)), "{taken:?}");
    }
}
