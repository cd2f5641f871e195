//! An embedded database that others may reach over TCP while the program goes on using it.
//!
//! `cargo run --example attach`

use std::sync::Arc;

use kora_ext::{Database, Options};
use kora_server::Settings;
use kora_server::engine::Attachment;
use kora_server::listen::Listeners;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::open(Options { shards: 2, ..Options::default() })?;
    let connection = database.connect()?;
    connection.execute(&["SET", "greeting", "hello"])?;

    let listeners = Listeners::bind(&Settings::for_embedding().config, database.engine().shards())?;
    let port = listeners.port().unwrap_or_default();
    let served = Attachment::attach(Arc::clone(database.engine()), listeners)?;
    println!("redis-cli -p {port} GET greeting     (enter ends)");
    std::io::stdin().read_line(&mut String::new())?;
    drop(served);

    println!("{:?}", connection.execute(&["GET", "greeting"])?);
    Ok(())
}
