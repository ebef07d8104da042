//! The program on a terminal, and somebody who types.

use std::fs::File;
use std::io::{Read, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::theatre::{Ended, Theatre};

/// An answer that is none: Ctrl-C.
pub const INTERRUPT: &str = "^C";

/// Runs the program on a terminal of its own, and types each answer once its question is there.
pub fn typed(theatre: &Theatre, arguments: &[&str], answers: &[(&str, &str)]) -> Ended {
    let (mut typist, terminal) = terminal();
    let mut command = theatre.command(arguments);
    command.env("TERM", "dumb");
    command.stdin(terminal.try_clone().unwrap());
    command.stdout(terminal.try_clone().unwrap()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    // It has the terminal; while somebody else has it, too, its end would not be seen.
    drop(command);
    let (mut said, mut seen, mut answers) = (Vec::new(), 0, answers.iter());
    let mut next = answers.next();
    let mut piece = [0; 4_096];
    // A terminal that nobody has open any more is an error to read from.
    while let Ok(length) = read(&mut typist, &mut piece) {
        said.extend_from_slice(&piece[..length]);
        let asked = String::from_utf8_lossy(&said[seen..]);
        let asks = said.ends_with(b": ") || said.ends_with(b") ");
        if let Some((_, answer)) = next.filter(|(question, _)| asks && asked.contains(question)) {
            seen = said.len();
            match *answer {
                INTERRUPT => crate::interrupted::signal(&child, "-INT"),
                answer => typist.write_all(format!("{answer}\n").as_bytes()).unwrap(),
            }
            next = answers.next();
        }
    }
    let code = child.wait().unwrap().code();
    let stdout = String::from_utf8(said).unwrap();
    assert!(next.is_none(), "never asked: {next:?}\n{stdout}");
    Ended { code, stdout, stderr: String::new() }
}

/// Both ends of a new terminal: whoever types, and the program.
fn terminal() -> (File, File) {
    let typist = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&typist).unwrap();
    unlockpt(&typist).unwrap();
    let name = ptsname(&typist, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (typist.into(), terminal)
}

/// What there is to read, within a minute.
fn read(typist: &mut File, piece: &mut [u8]) -> std::io::Result<usize> {
    let mut ready = [PollFd::new(&*typist, PollFlags::IN)];
    let count = poll(&mut ready, Some(&Timespec { tv_sec: 60, tv_nsec: 0 }))?;
    assert!(count > 0, "the program says nothing for a minute");
    typist.read(piece)
}
