//! From a tool's output into the vault: read, compressed on a thread of its own, and written, all at the same time and
//! never with more than a few pieces in memory.

use std::io::Write;
use std::time::Duration;

use c8keep_core::database::DumpContent;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::Upload;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::connection::Connection;
use super::fault;
use super::tool::{Failure, Running, Tool};
use super::wire::Shape;

const DOING: &str = "dumping a database";

/// What is compressed and written at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// The tools write some kilobytes at a time. Whoever takes each of them at once makes the processors change between the two all the
/// time; a millisecond later there is enough to be worth it.
const WORTHWHILE_BYTES: usize = 64 * 1024;
const GATHER: Duration = Duration::from_millis(1);
/// Pieces on their way between two of the three.
const PIECES_MAX: usize = 4;
/// On two processors, of which the tool and the server use most, stronger levels make the dump wait for the compression; on dumps'
/// long, alike lines they gain little (`cargo xtask bench --only dumps`).
const LEVEL: i32 = 1;

/// An object that is whole and not yet seen.
pub(super) struct Poured {
    pub(super) upload: Box<dyn Upload>,
    pub(super) unpacked_bytes: u64,
}

/// Lets a tool run to its end and takes what it writes. On a fault nothing is left that counts.
pub(super) async fn pour(
    connection: &Connection,
    tool: Tool,
    mut upload: Box<dyn Upload>,
    holds: DumpContent,
    stall: Duration,
) -> Result<Poured, Fault> {
    match run(connection, tool, &mut *upload, holds, stall).await {
        Ok(unpacked_bytes) => Ok(Poured { upload, unpacked_bytes }),
        Err(fault) => {
            upload.abandon().await;
            Err(fault)
        }
    }
}

async fn run(
    connection: &Connection,
    tool: Tool,
    upload: &mut dyn Upload,
    holds: DumpContent,
    stall: Duration,
) -> Result<u64, Fault> {
    let of_tool = |failure: Failure| fault::of_tool(connection, DOING, &failure);
    let mut running = tool.start().map_err(of_tool)?;
    let stdout = running.stdout().map_err(of_tool)?;
    let (plain, to_compress) = channel(PIECES_MAX);
    let (packed, to_write) = channel(PIECES_MAX);
    let compressing = tokio::task::spawn_blocking(move || compress(to_compress, &packed));
    let reading = async { read(&running, stdout, plain, holds, stall).await.map_err(of_tool) };
    let (shape, ()) = futures::try_join!(reading, write(to_write, upload))?;
    let compressed = compressing.await.unwrap_or_else(|_| Err(std::io::Error::other("it was cut off")));
    // The tool's own word comes first: it says why its output ended early.
    running.end().await.map_err(of_tool)?;
    compressed.map_err(|why| {
        Fault::new(FaultKind::Storage, DOING, fault::target(connection), format!("compressing: {why}"))
    })?;
    shape.whole().map_err(|why| fault::cut_short(connection, why))?;
    Ok(shape.bytes())
}

/// Reads to the end. A tool that writes nothing for the stall time has hung; a vault that takes its time has not.
async fn read(
    running: &Running,
    mut stdout: ChildStdout,
    plain: Sender<Vec<u8>>,
    holds: DumpContent,
    stall: Duration,
) -> Result<Shape, Failure> {
    let mut shape = Shape::of(holds);
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        while piece.len() < PIECE_BYTES {
            let read = tokio::time::timeout(stall, stdout.read_buf(&mut piece)).await;
            let read = read.map_err(|_| running.hung(stall))?;
            match read.map_err(|why| running.broken(why))? {
                0 => break,
                1..WORTHWHILE_BYTES => tokio::time::sleep(GATHER).await,
                _ => {}
            }
        }
        if piece.is_empty() {
            return Ok(shape);
        }
        shape.take(&piece);
        // Whoever should take it has failed and says so.
        if plain.send(piece).await.is_err() {
            return Ok(shape);
        }
    }
}

/// One zstd frame with a checksum of what it unpacks to.
fn compress(mut plain: Receiver<Vec<u8>>, packed: &Sender<Vec<u8>>) -> std::io::Result<()> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    while let Some(piece) = plain.blocking_recv() {
        encoder.write_all(&piece)?;
        if encoder.get_ref().len() >= PIECE_BYTES {
            hand_on(std::mem::take(encoder.get_mut()), packed)?;
        }
    }
    hand_on(encoder.finish()?, packed)
}

fn hand_on(piece: Vec<u8>, packed: &Sender<Vec<u8>>) -> std::io::Result<()> {
    packed.blocking_send(piece).map_err(|_| std::io::Error::other("nobody takes it"))
}

async fn write(mut packed: Receiver<Vec<u8>>, upload: &mut dyn Upload) -> Result<(), Fault> {
    while let Some(piece) = packed.recv().await {
        upload.write(&piece).await?;
    }
    Ok(())
}
