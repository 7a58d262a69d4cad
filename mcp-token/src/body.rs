//! A request's body in, at most so many bytes of it out; a response's body in, one that ends with the caller's token out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
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

pin_project! {
    /// A body on its way, to be had whole if it is no larger than so many bytes. One that says that it is larger is not read at all.
    pub(crate) struct Whole<B> {
        #[pin]
        body: B,
        most: usize,
        // One frame, as nearly every call is, is passed on as it came.
        first: Bytes,
        rest: BytesMut,
    }
}

impl<B: Body> Whole<B> {
    pub(crate) fn new(body: B, most: usize) -> Self {
        Self { body, most, first: Bytes::new(), rest: BytesMut::new() }
    }
}

impl<B: Body> Future for Whole<B> {
    type Output = Result<Bytes, Unread>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (first, rest) = (this.first, this.rest);
        if first.is_empty() && rest.is_empty() && this.body.size_hint().lower() > *this.most as u64 {
            return Poll::Ready(Err(Unread::TooLarge));
        }
        while let Some(frame) = ready!(this.body.as_mut().poll_frame(context)) {
            let Ok(frame) = frame else { return Poll::Ready(Err(Unread::Broken)) };
            let Ok(mut data) = frame.into_data() else { continue };
            if data.remaining() > *this.most - first.len() - rest.len() {
                return Poll::Ready(Err(Unread::TooLarge));
            }
            if rest.is_empty() && first.is_empty() {
                *first = data.copy_to_bytes(data.remaining());
                continue;
            }
            if rest.is_empty() {
                *rest = BytesMut::from(&*std::mem::take(first));
            }
            rest.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        let whole = if rest.is_empty() { std::mem::take(first) } else { std::mem::take(rest).freeze() };
        Poll::Ready(Ok(whole))
    }
}

pin_project! {
    /// The body of a guarded server's answer. A stream of events ends at the latest with the caller's token.
    pub struct McpBody<R> {
        #[pin]
        body: R,
        end: End,
    }
}

enum End {
    /// Its own.
    Own,
    /// That of what its caller was let in with, too.
    Token(UntilExpiry),
    /// It was that.
    Past,
}

impl<R> McpBody<R> {
    pub(crate) fn new(body: R, end: Option<UntilExpiry>) -> Self {
        Self { body, end: end.map_or(End::Own, End::Token) }
    }
}

impl<R: Body> Body for McpBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        // The end first: a stream that never pauses ends, too.
        if let End::Token(waiting) = this.end
            && Pin::new(waiting).poll(context).is_ready()
        {
            *this.end = End::Past;
        }
        match this.end {
            End::Past => Poll::Ready(None),
            End::Own | End::Token(_) => this.body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Past) || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Own => self.body.size_hint(),
            // How much of it there will be is not known.
            End::Token(_) | End::Past => SizeHint::default(),
        }
    }
}

impl<R> fmt::Debug for McpBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.end {
            End::Own => "McpBody(own end)",
            End::Token(_) => "McpBody(until the token ends)",
            End::Past => "McpBody(ended)",
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
            let outcome = Whole::new(Frames(frames.to_vec(), 0), 10).await;
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
        assert_eq!(Whole::new(Says(100 << 20), 4 << 20).await, Err(Unread::TooLarge));
    }

    #[tokio::test]
    async fn one_frame_is_passed_on_without_a_copy() {
        let body = Bytes::from(vec![b'x'; 100]);
        let read = Whole::new(http_body_util::Full::new(body.clone()), 100).await.unwrap();
        assert_eq!(read.as_ptr(), body.as_ptr());
    }
}
