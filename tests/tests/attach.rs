//! An embedded engine and a listener attached to it serve the same data.
//!
//! Owns: what `kora_ext::embedded` and `kora_server::engine` promise a program. Commands themselves are the transcripts' business.

use std::sync::Arc;

use kora_ext::{Database, Options};
use kora_runtime::client::Value;
use kora_runtime::table::{AsyncClient, Client};
use kora_server::Settings;
use kora_server::engine::Attachment;
use kora_server::listen::Listeners;
use kora_tests::resp;

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

#[test]
fn a_listener_serves_the_data_of_the_program() {
    let database = Database::open(Options { shards: 4, ..Options::default() }).expect("an engine starts");
    let inside = database.connect().expect("a running engine");
    let listeners = Listeners::bind(&Settings::for_embedding().config, 4).expect("a free port");
    let address = listeners.addresses[0];
    let served = Attachment::attach(Arc::clone(database.engine()), listeners).expect("listeners for four shards");

    let mut outside = resp::Client::connect(address).expect("someone listens");
    for key in 0..20 {
        inside.execute(&["SET".to_owned(), format!("in{key}"), format!("{key}")]).expect("a plain SET");
        let reply = outside.call(&["GET", &format!("in{key}")]).expect("a reply");
        assert_eq!(reply.bytes(), Some(key.to_string().as_bytes()));
        outside.call(&["SET", &format!("out{key}"), "there"]).expect("a reply");
        assert_eq!(inside.execute(&["GET".to_owned(), format!("out{key}")]), Ok(bulk("there")));
    }

    drop(served);
    assert!(outside.call(&["PING"]).is_err(), "its connections end with the attachment");
    assert!(resp::Client::connect(address).is_err(), "and nobody listens any more");
    assert_eq!(inside.execute(&["GET", "in3"]), Ok(bulk("3")), "the engine goes on");
}

#[test]
fn listeners_for_another_number_of_shards_are_refused() {
    let database = Database::open(Options { shards: 2, ..Options::default() }).expect("an engine starts");
    let listeners = Listeners::bind(&Settings::for_embedding().config, 3).expect("a free port");
    let error = Attachment::attach(Arc::clone(database.engine()), listeners).expect_err("2 are not 3");
    assert_eq!(error.to_string(), "listeners for 3 shards, but the engine has 2");
}

#[test]
fn typed_methods_speak_of_types_and_refusals() {
    let database = Database::open(Options { shards: 2, ..Options::default() }).expect("an engine starts");
    let db = database.connect().expect("a running engine");
    Client::set(&db, "greeting", "hello").expect("a plain SET");
    assert_eq!(Client::get(&db, "greeting"), Ok(Some(b"hello".to_vec())));
    assert_eq!(Client::get(&db, "nothing"), Ok(None));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(runtime.block_on(AsyncClient::incr(&db, "visits")), Ok(1));
    let refused = Client::incr(&db, "greeting").expect_err("not a number");
    assert_eq!(refused.to_string(), "ERR value is not an integer or out of range");
    db.execute(&["QUIT"]).expect("OK comes first");
    assert_eq!(db.execute(&["PING"]), Err(kora_ext::embedded::Error::Closed));
}

#[test]
fn a_number_of_shards_out_of_range_is_an_error() {
    for shards in [0, 5000] {
        assert!(Database::open(Options { shards, ..Options::default() }).is_err(), "{shards}");
    }
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let example = include_str!("../../kora-ext/examples/embedded.rs");
    let code = &example[example.find("use kora_ext").expect("the example begins with what it uses")..];
    assert!(include_str!("../../README.md").contains(code), "copy kora-ext/examples/embedded.rs into README.md");
}
