//! Kora inside a program: no server, no socket, the same commands.
//!
//! `cargo run --example embedded`

use kora_ext::{Database, Options};
use kora_runtime::table::{AsyncClient, Client};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::open(Options { shards: 2, ..Options::default() })?;
    let connection = database.connect()?;

    // Any command, as words.
    println!("{:?}", connection.execute(&["RPUSH", "letters", "a", "b", "c"])?);

    // One typed method for each command, generated from commands.toml.
    Client::set(&connection, "greeting", "hello")?;
    println!("{:?}", Client::get(&connection, "greeting")?);

    // The same, to be awaited on any executor.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    println!("{:?}", runtime.block_on(AsyncClient::incr(&connection, "visits"))?);

    // Refusals are errors, with Redis's texts.
    println!("{}", Client::incr(&connection, "letters").expect_err("a list cannot be incremented"));
    Ok(())
}
