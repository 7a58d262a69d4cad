//! The body of a response that has passed a layer of ours: the inner service's, or the text of a refusal.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body `R` of the inner service, or the text of a refusal in its place.
    ///
    /// It is a body wherever `R` is one and text can become its data, which is so for `Bytes`. axum, tonic and hyper take it
    /// as it is.
    pub struct ResponseBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<R> {
        Inner { #[pin] body: R },
        Text { text: Option<Bytes> },
    }
}

impl<R> ResponseBody<R> {
    /// The body of the inner service, as it is.
    pub fn inner(body: R) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// A text in its place: one frame of known length, or none.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Text { text: Some(text.into()).filter(|text: &Bytes| !text.is_empty()) } }
    }
}

/// The empty body; layers outside ours ask for it.
impl<R> Default for ResponseBody<R> {
    fn default() -> Self {
        Self { kind: Kind::Text { text: None } }
    }
}

impl<R> Body for ResponseBody<R>
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
            KindProj::Text { text } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Text { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Text { text } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}

impl<R> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Inner { .. } => "ResponseBody(inner)",
            Kind::Text { .. } => "ResponseBody(refusal)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test]
    async fn a_text_is_one_frame_of_known_length_and_an_empty_one_is_no_frame() {
        for (body, expected) in [
            (ResponseBody::<Full<Bytes>>::text("refused"), "refused"),
            (ResponseBody::inner(Full::from("inner")), "inner"),
            (ResponseBody::text(String::new()), ""),
            (ResponseBody::default(), ""),
        ] {
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64), "{expected}");
            assert_eq!(body.is_end_stream(), expected.is_empty(), "{expected}");
            assert_eq!(body.collect().await.unwrap().to_bytes(), expected);
        }
    }
}
