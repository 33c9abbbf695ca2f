use tower_http::decompression::Decompression;

use super::{HttpService, boxed};

/// Asks for compressed replies, and decompresses them as they are read.
///
/// A body comes out piece by piece, so that whoever limits its size stops a small one that grows without end.
pub(super) fn decompressed(client: HttpService) -> HttpService {
    boxed(Decompression::new(client))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use engineio_layers::{BodyTooLarge, CollectLayer};
    use futures::{StreamExt, stream};
    use http::{
        Request, Response,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING},
    };
    use http_body_util::{BodyExt, Full, StreamBody};
    use hyper::body::Frame;
    use tower::{Layer, ServiceExt, service_fn};
    use tower_http::compression::Compression;

    use super::*;
    use crate::RequestBody;

    /// Many zeros in few bytes.
    async fn bomb(encoding: &str) -> Bytes {
        let zeros = service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![0; 64 * LIMIT]))))
        });
        let request = Request::get("/").header(ACCEPT_ENCODING, encoding).body(()).unwrap();
        let response = Compression::new(zeros).oneshot(request).await.unwrap();
        let bomb = response.into_body().collect().await.expect("it can be compressed").to_bytes();
        assert!(bomb.len() < LIMIT, "{encoding}: {} bytes", bomb.len());
        bomb
    }

    /// A client that is answered with this body, which then goes on for ever.
    fn answered(encoding: &'static str, body: Bytes) -> HttpService {
        boxed(service_fn(move |_: Request<RequestBody>| {
            let body = StreamBody::new(
                stream::iter([Ok::<_, Infallible>(Frame::data(body.clone()))]).chain(stream::pending()),
            );
            async move { Response::builder().header(CONTENT_ENCODING, encoding).body(body) }
        }))
    }

    #[tokio::test]
    async fn a_bomb_goes_off_piece_by_piece_and_not_beyond_the_limit() {
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let client = decompressed(answered(encoding, bomb(encoding).await));
            let response = client.clone().oneshot(Request::default()).await.unwrap();
            assert_eq!(response.headers().get(CONTENT_ENCODING), None);
            let piece = response.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
            assert!((1..LIMIT).contains(&piece.len()), "{encoding}: {} bytes at once", piece.len());

            let error =
                CollectLayer::new(LIMIT).layer(client).oneshot(Request::default()).await.expect_err("too large");
            assert_eq!(error.downcast_ref(), Some(&BodyTooLarge { limit: LIMIT }), "{encoding}");
        }
    }

    #[tokio::test]
    async fn requests_ask_for_all_four_unless_they_ask_for_something_themselves() {
        let echo = service_fn(|request: Request<RequestBody>| async move {
            Ok::<_, Infallible>(Response::new(Full::from(request.headers()[ACCEPT_ENCODING].as_bytes().to_vec())))
        });
        let client = decompressed(boxed(echo));
        let own = Request::get("/").header(ACCEPT_ENCODING, "identity").body(Full::default()).unwrap();
        for (request, accepted) in [(Request::default(), "zstd,gzip,deflate,br"), (own, "identity")] {
            let response = client.clone().oneshot(request).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), accepted);
        }
    }

    const LIMIT: usize = 1 << 16;
}
