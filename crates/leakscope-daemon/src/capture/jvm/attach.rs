//! HotSpot's attach protocol over its UNIX socket, as `jcmd` speaks it: one connection a command.
//!
//! Version 1: `"1" 0 command 0 argument 0 argument 0 argument 0`, answered by `"<return code>\n"` and text up to the end. The JVM opens
//! the socket `/tmp/.java_pidN` when it finds `.attach_pidN` at a SIGQUIT. Root and the JVM's own user are served; a JVM before 11
//! serves its own user only.
//!
//! Source: `src/hotspot/os/linux/attachListener_linux.cpp` of JDK 17, `src/hotspot/os/posix/attachListener_posix.cpp` of JDK 25.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::super::CaptureError;
use super::hotspot::{Closed, Hotspot};

/// How long a JVM may take to open its socket after it was asked to; it does so at its next safe point.
const SOCKET_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks for it.
const SOCKET_POLL: Duration = Duration::from_millis(20);
/// Most bytes of an answer; a histogram of 10,000 classes has one million.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Most characters of an answer that a message repeats.
const QUOTED_MAX: usize = 200;

/// A JVM with its socket.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) jvm: Hotspot,
    /// Its `/tmp`.
    tmp: OwnedFd,
}

impl Attached {
    /// The JVM with the place of its socket, which may not be there yet.
    ///
    /// # Errors
    /// [`Closed`] where it can never be there.
    pub(super) fn new(jvm: Hotspot) -> Result<Self, Closed> {
        if jvm.attach_disabled {
            return Err(Closed::shut(
                "the JVM was started with -XX:+DisableAttachMechanism",
                "start it without that option",
            ));
        }
        let tmp = jvm.folder("/tmp").map_err(|error| {
            Closed::shut(
                format!("the JVM's `/tmp`, where its attach socket lies, cannot be entered: {error}"),
                "give it a writable `/tmp`",
            )
        })?;
        Ok(Self { jvm, tmp })
    }

    /// Whether its socket is there and answers.
    ///
    /// # Errors
    /// [`Closed`] where somebody else's is there.
    pub(super) async fn is_open(&self) -> Result<bool, Closed> {
        Ok(connect(&self.jvm, &self.tmp).await?.is_some())
    }

    /// Asks for the socket by SIGQUIT where it is not there.
    ///
    /// # Errors
    /// [`Closed`] when it does not open.
    pub(super) async fn open(&self) -> Result<(), Closed> {
        if self.is_open().await? {
            return Ok(());
        }
        ask_for_socket(&self.jvm, &self.tmp).await
    }

    /// What a command of `jcmd` answers.
    ///
    /// # Errors
    /// [`CaptureError`]; [`CaptureError::Died`] when the process ended meanwhile.
    pub(super) async fn run(&self, command: &str) -> Result<String, CaptureError> {
        let asked = self.exchange(command).await;
        match asked {
            Err(CaptureError::Broken { .. }) if !self.jvm.alive() => Err(CaptureError::Died),
            asked => asked,
        }
    }

    async fn exchange(&self, command: &str) -> Result<String, CaptureError> {
        let from = || format!("`{}` of process {}", command.split(' ').next().unwrap_or_default(), self.jvm.pid);
        let broken = |source: io::Error| CaptureError::Broken { from: from(), source };
        let mut stream = connect(&self.jvm, &self.tmp).await?.ok_or_else(|| {
            if self.jvm.alive() { broken(io::ErrorKind::ConnectionRefused.into()) } else { CaptureError::Died }
        })?;
        stream.write_all(format!("1\0jcmd\0{command}\0\0\0").as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        (&mut stream).take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer).await.map_err(broken)?;
        if answer.len() as u64 > ANSWER_BYTES_MAX {
            return Err(CaptureError::Unexpected {
                from: from(),
                expected: "an answer of 32 MiB at most",
                found: "a longer one".into(),
            });
        }
        if answer.is_empty() && self.jvm.alive() {
            return Err(CaptureError::Unavailable(format!(
                "the JVM closed the connection without an answer, as it does to another user than its own when it is older than 11 or \
                 in a user namespace; run leakscope as user {}",
                self.jvm.user.as_raw()
            )));
        }
        text_of(&answer).map_err(|found| match found {
            Some(found) => CaptureError::Unexpected { from: from(), expected: "return code 0", found },
            None => broken(io::ErrorKind::UnexpectedEof.into()),
        })
    }
}

/// The text behind return code 0; else what the JVM said, or nothing where the answer is cut off.
fn text_of(answer: &[u8]) -> Result<String, Option<String>> {
    let text = String::from_utf8_lossy(answer);
    let (code, text) = text.split_once('\n').ok_or(None)?;
    if code.trim() == "0" {
        return Ok(text.to_owned());
    }
    Err(Some(format!("{}: {}", quoted(code), quoted(text))))
}

/// The first line of what a JVM said, for a message.
pub(super) fn quoted(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim();
    line.chars().filter(|char| !char.is_control()).take(QUOTED_MAX).collect()
}

/// A connection to the JVM's socket; `None` where there is none, or one that a dead process left behind.
async fn connect(jvm: &Hotspot, tmp: &OwnedFd) -> Result<Option<UnixStream>, Closed> {
    let name = format!(".java_pid{}", jvm.inner_pid);
    let Ok(stat) = rustix::fs::statat(tmp, &name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(None) };
    let foreign = || {
        Closed::shut(
            format!("`/tmp/{name}` is not a socket of user {}, whose JVM it should be", jvm.user.as_raw()),
            format!("remove `/tmp/{name}`"),
        )
    };
    // ORDER: who owns it is asked before anything is said, so that nobody else's program is taken for the JVM.
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket || stat.st_uid != jvm.user.as_raw() {
        return Err(foreign());
    }
    // A path by way of the open folder is short, as a socket's must be, and leads where the folder is.
    let path = format!("/proc/self/fd/{}/{name}", tmp.as_raw_fd());
    match UnixStream::connect(path).await {
        Ok(stream) => match stream.peer_cred() {
            Ok(peer) if peer.uid() == jvm.user.as_raw() => Ok(Some(stream)),
            Ok(_) | Err(_) => Err(foreign()),
        },
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(Closed::shut(
            format!("`/tmp/{name}` cannot be connected to: {error}"),
            "run leakscope as root or as its user",
        )),
    }
}

/// Puts the trigger file, sends SIGQUIT and waits for the socket.
async fn ask_for_socket(jvm: &Hotspot, tmp: &OwnedFd) -> Result<(), Closed> {
    if !jvm.catches_quit {
        return Err(catches_no_quit());
    }
    let _trigger = Trigger::put(jvm, tmp)?;
    rustix::process::pidfd_send_signal(&jvm.handle, Signal::QUIT)
        .map_err(|error| if error == rustix::io::Errno::SRCH { Closed::Gone } else { unsent(error) })?;
    let appears = async {
        loop {
            if connect(jvm, tmp).await?.is_some() {
                return Ok(());
            }
            if !jvm.alive() {
                return Err(Closed::Gone);
            }
            tokio::time::sleep(SOCKET_POLL).await;
        }
    };
    tokio::time::timeout(SOCKET_WITHIN, appears).await.unwrap_or_else(|_| {
        Err(Closed::shut(
            format!("the JVM did not open its attach socket within {} s", SOCKET_WITHIN.as_secs()),
            "see that it is not started with -XX:+DisableAttachMechanism and can write to its `/tmp`",
        ))
    })
}

/// Without a handler SIGQUIT would end the process.
pub(super) fn catches_no_quit() -> Closed {
    Closed::shut(
        "the JVM does not catch SIGQUIT, or not yet, so that it cannot be asked for its attach socket",
        "start it with -XX:+StartAttachListener",
    )
}

fn unsent(error: rustix::io::Errno) -> Closed {
    Closed::shut(format!("SIGQUIT could not be sent: {error}"), "run leakscope as root or as the JVM's user")
}

/// `.attach_pidN` in the JVM's `/tmp`; gone when dropped, where we put it.
#[derive(Debug)]
struct Trigger<'a> {
    tmp: &'a OwnedFd,
    name: String,
    ours: bool,
}

impl<'a> Trigger<'a> {
    fn put(jvm: &Hotspot, tmp: &'a OwnedFd) -> Result<Self, Closed> {
        let name = format!(".attach_pid{}", jvm.inner_pid);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(tmp, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                let trigger = Self { tmp, name, ours: true };
                // Only root can, and only root must: the JVM wants its own user's file, or root's from JDK 11 on.
                let _ = rustix::fs::fchown(&file, Some(jvm.user), Some(jvm.group));
                Ok(trigger)
            }
            // Somebody else is asking for the same.
            Err(rustix::io::Errno::EXIST) => Ok(Self { tmp, name, ours: false }),
            Err(error) => Err(Closed::shut(
                format!("`{name}` cannot be put into the JVM's `/tmp`: {error}"),
                "give it a writable `/tmp`",
            )),
        }
    }
}

impl Drop for Trigger<'_> {
    fn drop(&mut self) {
        if self.ours {
            let _ = rustix::fs::unlinkat(self.tmp, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_text_or_what_the_jvm_said_instead() {
        for (answer, expected) in [
            (&b"0\nhello\nyou"[..], Ok("hello\nyou")),
            (b"0\n", Ok("")),
            (
                b"-1\njava.lang.IllegalArgumentException: Unknown diagnostic command\nat x",
                Err(Some("-1: java.lang.IllegalArgumentException: Unknown diagnostic command")),
            ),
            (b"101\n", Err(Some("101: nothing"))),
            (b"\xff\x00\n\x1b[1m", Err(Some("\u{fffd}: [1m"))),
            (b"0", Err(None)),
            (b"", Err(None)),
        ] {
            let expected = expected.map(str::to_owned).map_err(|said: Option<&str>| said.map(str::to_owned));
            assert_eq!(text_of(answer), expected);
        }
    }
}
