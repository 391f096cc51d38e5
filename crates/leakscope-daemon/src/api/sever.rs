//! Connections that can be ended from outside: a client that never finishes its request must not hold up the end of the daemon.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// A listener whose connections end when they are severed.
#[derive(Debug)]
pub(crate) struct Severable<L> {
    listener: L,
    severed: watch::Receiver<bool>,
}

impl<L> Severable<L> {
    /// Severs the connections of `listener` as soon as `severed` is true.
    pub(crate) fn new(listener: L, severed: watch::Receiver<bool>) -> Self {
        Self { listener, severed }
    }
}

impl<L: Listener> Listener for Severable<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, address) = self.listener.accept().await;
        let mut severed = self.severed.clone();
        let severed = Box::pin(async move {
            // An error means that the daemon was dropped: end too.
            let _ = severed.wait_for(|severed| *severed).await;
        });
        (Connection { io, severed: Some(severed) }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// One connection; every read and write fails once it is severed.
pub(crate) struct Connection<I> {
    io: I,
    /// `None` once it has happened.
    severed: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<I: Unpin> Connection<I> {
    /// The connection below, or why there is none any more. Wakes the task when it is severed.
    fn io(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut I>> {
        if let Some(severed) = &mut self.severed
            && severed.as_mut().poll(context).is_ready()
        {
            self.severed = None;
        }
        match self.severed {
            Some(_) => Ok(Pin::new(&mut self.io)),
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Connection<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.io(context) {
            Ok(io) => io.poll_read(context, buffer),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Connection<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.io(context) {
            Ok(io) => io.poll_write(context, bytes),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.io(context) {
            Ok(io) => io.poll_flush(context),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.io(context) {
            Ok(io) => io.poll_shutdown(context),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
