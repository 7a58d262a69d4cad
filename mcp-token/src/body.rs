//! A request's body in, at most so many bytes of it out; a response's body in, one that ends with the caller's token out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use token_core::streams::UntilExpiry;

/// Why there is no body to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than the bound. No byte past it was kept.
    TooLarge,
    /// The connection broke off.
    Broken,
}

/// The whole body, if it is no larger than `most` bytes. One that says that it is larger is not read at all.
pub(crate) async fn read<B: Body>(body: B, most: usize) -> Result<Bytes, Unread> {
    let hint = body.size_hint();
    if hint.lower() > most as u64 {
        return Err(Unread::TooLarge);
    }
    let mut body = std::pin::pin!(body);
    // One frame, as nearly every call is, is passed on as it came.
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if data.remaining() > most - first.len() - rest.len() {
            return Err(Unread::TooLarge);
        }
        if rest.is_empty() && first.is_empty() {
            first = data.copy_to_bytes(data.remaining());
            continue;
        }
        if rest.is_empty() {
            rest = BytesMut::from(&*std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

pin_project! {
    /// The body of a guarded server's answer: that of the server, which ends at the latest with the caller's token, or the text of a refusal.
    pub struct McpBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<R> {
        Inner { #[pin] body: R },
        // A stream of events may outlive what its caller was let in with.
        Until { #[pin] body: R, end: Option<UntilExpiry> },
        Text { text: Option<Bytes> },
    }
}

impl<R> McpBody<R> {
    pub(crate) fn inner(body: R) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) fn until(body: R, end: UntilExpiry) -> Self {
        Self { kind: Kind::Until { body, end: Some(end) } }
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Text { text: Some(text.into()).filter(|text| !text.is_empty()) } }
    }
}

impl<R> Body for McpBody<R>
where
    R: Body,
    R::Data: From<Bytes>,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(context),
            KindProj::Until { body, end } => {
                // The end first: a stream that never pauses ends, too.
                let Some(waiting) = end else { return Poll::Ready(None) };
                if Pin::new(waiting).poll(context).is_ready() {
                    *end = None;
                    return Poll::Ready(None);
                }
                body.poll_frame(context)
            }
            KindProj::Text { text } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Until { body, end } => end.is_none() || body.is_end_stream(),
            Kind::Text { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            // How much of it there will be is not known.
            Kind::Until { .. } => SizeHint::default(),
            Kind::Text { text } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}

impl<R> fmt::Debug for McpBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Inner { .. } => "McpBody(inner)",
            Kind::Until { .. } => "McpBody(until)",
            Kind::Text { .. } => "McpBody(text)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Frames of these sizes, and a count of how many were asked for.
    struct Frames(Vec<usize>, usize);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let next = self.0.get(self.1).copied();
            self.1 += 1;
            Poll::Ready(next.map(|size| Ok(Frame::data(vec![b'x'; size].into()))))
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_bound_and_no_further() {
        for (frames, expected) in [
            (&[][..], Ok(0)),
            (&[10], Ok(10)),
            (&[0, 4, 0, 6], Ok(10)),
            (&[11], Err(Unread::TooLarge)),
            (&[4, 6, 1], Err(Unread::TooLarge)),
            (&[4, 7, 1], Err(Unread::TooLarge)),
        ] {
            let outcome = read(Frames(frames.to_vec(), 0), 10).await;
            assert_eq!(outcome.map(|body| body.len()), expected, "{frames:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_large_is_not_read() {
        struct Says(u64);
        impl Body for Says {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                unreachable!("nobody reads it")
            }
            fn size_hint(&self) -> SizeHint {
                SizeHint::with_exact(self.0)
            }
        }
        assert_eq!(read(Says(100 << 20), 4 << 20).await, Err(Unread::TooLarge));
    }

    #[tokio::test]
    async fn one_frame_is_passed_on_without_a_copy() {
        let body = Bytes::from(vec![b'x'; 100]);
        let read = read(http_body_util::Full::new(body.clone()), 100).await.unwrap();
        assert_eq!(read.as_ptr(), body.as_ptr());
    }
}
