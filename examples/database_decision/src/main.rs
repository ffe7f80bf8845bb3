//! Asks a database whether a call may come in, while it rings: an SQLite file with who may call, how many calls at
//! once, and a record of every call. What cannot be asked is refused.
//!
//! Type `cargo run --release -p database_decision`, then `sipp -sn uac -s sales 127.0.0.1:5060 -m 3 -d 2000`: two calls
//! are answered, as `sales` may have two at once, the third gets 486. `-s nobody` gets 404. Look at the records with
//! `sqlite3 calls.db 'select * from calls'`.

#![forbid(unsafe_code)]

use ringplane::prelude::*;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS lines (user TEXT PRIMARY KEY, calls_at_once INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS calls (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, caller TEXT NOT NULL, began TEXT DEFAULT CURRENT_TIMESTAMP,
        seconds REAL, ended TEXT
    );
    INSERT OR IGNORE INTO lines VALUES ('sales', 2), ('support', 10);
";

/// Lets every call ring until the database has answered.
struct Desk {
    questions: mpsc::Sender<IncomingCall>,
    database: SqlitePool,
}

#[async_trait]
impl CallHandler for Desk {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        match self.questions.try_send(call) {
            Ok(()) => CallDecision::Defer,
            Err(_) => CallDecision::Reject { status: 503, reason: "Too many calls wait".into() },
        }
    }

    async fn on_call_ended(&self, call: CallSession, reason: &str) {
        let ended = sqlx::query("UPDATE calls SET seconds = ?, ended = ? WHERE id = ?")
            .bind(call.duration().as_secs_f64())
            .bind(reason)
            .bind(call.call_id())
            .execute(&self.database)
            .await;
        if let Err(error) = ended {
            eprintln!("the end of {} is not on record: {error}", call.id());
        }
    }
}

/// Whether a line has room for one more call, and the call's record if so, in one step: two calls cannot both be the
/// last one. `None`: there is no such line.
async fn ask(database: &SqlitePool, call: &IncomingCall) -> Result<Option<bool>, sqlx::Error> {
    let known: Option<(i64,)> = sqlx::query_as("SELECT calls_at_once FROM lines WHERE user = ?")
        .bind(&call.called_user)
        .fetch_optional(database)
        .await?;
    let Some((calls_at_once,)) = known else { return Ok(None) };
    let call_id = call.headers.get("Call-ID").cloned().unwrap_or_default();
    let entered = sqlx::query(
        "INSERT INTO calls (id, user, caller) SELECT ?, ?, ?
         WHERE (SELECT count(*) FROM calls WHERE user = ? AND ended IS NULL) < ?",
    )
    .bind(call_id)
    .bind(&call.called_user)
    .bind(&call.from)
    .bind(&call.called_user)
    .bind(calls_at_once)
    .execute(database)
    .await?;
    Ok(Some(entered.rows_affected() == 1))
}

async fn decide(
    coordinator: Arc<SessionCoordinator>,
    database: SqlitePool,
    mut questions: mpsc::Receiver<IncomingCall>,
) {
    while let Some(call) = questions.recv().await {
        let status = match ask(&database, &call).await {
            Ok(Some(true)) => 200,
            Ok(Some(false)) => 486,
            Ok(None) => 404,
            Err(error) => {
                eprintln!("the database does not answer: {error}");
                503
            }
        };
        println!("a call from {} to {}: {status}", call.from, call.called_user);
        let done = match status {
            200 => SessionControl::accept_incoming_call(&coordinator, &call, None).await.map(drop),
            status => SessionControl::reject_incoming_call_with(&coordinator, &call, status, "").await,
        };
        if let Err(error) = done {
            eprintln!("the caller has gone: {error}");
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "calls.db".into());
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let database = SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(2)).connect_with(options).await?;
    sqlx::raw_sql(TABLES).execute(&database).await?;
    // What an earlier run could not finish.
    sqlx::query("UPDATE calls SET ended = 'unknown' WHERE ended IS NULL").execute(&database).await?;

    let (questions, asked) = mpsc::channel(1_000);
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_handler(Arc::new(Desk { questions, database: database.clone() }))
        .build()
        .await?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::spawn(decide(coordinator.clone(), database.clone(), asked));
    tokio::signal::ctrl_c().await?;
    SessionControl::stop(&coordinator).await?;

    let (all, open): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(*) - count(ended) FROM calls").fetch_one(&database).await?;
    println!("{all} calls are on record, {open} of them open");
    database.close().await;
    Ok(())
}
