//! Takes what the commands of a JVM give: text as it comes, files by way of a folder of our own in the JVM's file system.

use std::fs::File;

use leakscope_model::Bytes;
use tokio::io::AsyncReadExt;

use super::super::{CaptureError, Output};
use super::channel::Channel;
use super::folder::{self, Folder};
use super::hotspot::Hotspot;
use super::recording::Recording;

/// Bytes copied at a time.
const PIECE: usize = 256 << 10;

/// Writes the classes with their objects and bytes, as `jcmd` shows them, under the command that told them.
pub(super) async fn histogram(channel: &Channel<'_>, output: &mut Output<'_>) -> Result<(), CaptureError> {
    let live = channel.heap().await?.counts_live();
    let command = if live { "GC.class_histogram" } else { "GC.class_histogram -all" };
    let answer = channel.run_to(command, "Total").await?;
    output.write(format!("{command}\n").as_bytes())?;
    output.write(answer.as_bytes())
}

/// Writes the recording of old objects. Whether it had to be started, so that it has none yet.
pub(super) async fn old_objects(
    channel: &Channel<'_>,
    jvm: &Hotspot,
    output: &mut Output<'_>,
) -> Result<bool, CaptureError> {
    let now = crate::clock::now();
    let place = folder::place(jvm, super::RECORDING_ROOM).map_err(CaptureError::Unavailable)?;
    let heap = channel.heap().await?;
    let running = Recording::running(&channel.run("JFR.check").await?);
    let recording = match running {
        Some(recording) => recording,
        None => start(channel, Recording::new(now)).await?,
    };
    let armed = running.is_none();
    let folder = Folder::new(jvm, place)?;
    // What was just started has no objects whose holders could be looked for.
    let dump = recording.dump(&folder.path, !armed && heap.finds_paths());
    channel.run_to(&dump, "Dumped recording").await?;
    pour(folder.open()?, output).await?;
    if recording.needs_renewal(now) {
        // ORDER: the new one begins first, so that the JVM keeps the objects that it has sampled.
        start(channel, Recording::new(now)).await?;
        channel.run(&recording.stop()).await?;
    }
    Ok(armed)
}

async fn start(channel: &Channel<'_>, recording: Recording) -> Result<Recording, CaptureError> {
    channel.run_to(&recording.start(), "Started recording").await?;
    Ok(recording)
}

/// Writes a dump of what is alive. It is not packed by the JVM, which would stand still three times as long.
pub(super) async fn heap_dump(
    channel: &Channel<'_>,
    jvm: &Hotspot,
    output: &mut Output<'_>,
) -> Result<(), CaptureError> {
    let heap = channel.heap().await?;
    let place = folder::place(jvm, super::dump_room(heap)).map_err(CaptureError::Unavailable)?;
    let folder = Folder::new(jvm, place)?;
    channel.run_to(&format!("GC.heap_dump {}", folder.path), "Heap dump file created").await?;
    pour(folder.open()?, output).await
}

async fn pour(file: File, output: &mut Output<'_>) -> Result<(), CaptureError> {
    let broken = |source| CaptureError::Broken { from: "the file that the JVM wrote".into(), source };
    let mut file = tokio::fs::File::from_std(file);
    let mut piece = vec![0; PIECE];
    loop {
        let n_bytes = file.read(&mut piece).await.map_err(broken)?;
        if n_bytes == 0 {
            break;
        }
        output.write(&piece[..n_bytes])?;
    }
    if output.written() == Bytes(0) {
        return Err(CaptureError::Unexpected {
            from: "the JVM".into(),
            expected: "evidence",
            found: "an empty file".into(),
        });
    }
    Ok(())
}
