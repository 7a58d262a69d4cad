//! How many lists are kept, and which of them go first.

use bytes::Bytes;
use http::{Request, Response};

use super::*;
use crate::base::http::{HttpError, Limits};
use crate::jose::base64url;
use crate::opaque::status_list::LARGEST;

const NOW: Timestamp = Timestamp::from_secs(1_000);

#[derive(Debug)]
struct Nobody;

impl HttpClient for Nobody {
    fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        unreachable!("no list is fetched here")
    }
}

fn lists() -> Lists {
    let settings = StatusLists::new();
    Lists::new(settings, Some("https://issuer.example"), Arc::new(Nobody), FetchLimits::new(), false).unwrap()
}

fn list(uri: &str, bytes: usize) -> StatusList {
    let lst = base64url::encode(&miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; bytes], 1));
    let json = format!(r#"{{"sub":"{uri}","status_list":{{"bits":1,"lst":"{lst}"}}}}"#);
    StatusList::read(&json, uri, (Some(NOW), None), (NOW, Duration::ZERO)).unwrap()
}

fn is_there(lists: &Lists, uri: &str) -> bool {
    let place = Reference { index: 0, uri: uri.into() };
    lists.look(&place, "i", NOW) == Look::Status { status: 0, due: false }
}

#[test]
fn more_lists_than_there_is_room_for_displace_those_that_were_not_used_for_longest() {
    let lists = lists();
    for number in 0..MOST.0 {
        let uri = number.to_string();
        lists.keep(&uri, list(&uri, 1), None, (NOW, 0.5)).unwrap();
    }
    assert!(is_there(&lists, "0"));
    lists.keep("one more", list("one more", 1), None, (NOW, 0.5)).unwrap();
    lists.failed("none", None, NOW);
    assert_eq!(lists.read().len(), MOST.0);
    assert!(is_there(&lists, "0") && is_there(&lists, "one more") && !is_there(&lists, "1") && !is_there(&lists, "2"));
}

#[test]
fn large_lists_are_bounded_by_what_they_take() {
    let lists = lists();
    for number in 0..12 {
        let uri = number.to_string();
        lists.keep(&uri, list(&uri, LARGEST), None, (NOW, 0.5)).unwrap();
    }
    assert!(lists.read().values().map(Kept::size).sum::<usize>() <= MOST.1);
    assert!(!is_there(&lists, "0") && is_there(&lists, "11"));
}
