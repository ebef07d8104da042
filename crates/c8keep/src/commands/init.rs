//! `init`: writes a configuration file from what the servers tell, asks on a terminal for what they do not, and never waits
//! for an answer without one. It writes one file, over none that exists unless that is asked for, and no secret into it.

mod ask;
mod compose;
mod forms;
mod given;
mod questions;

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use c8keep_core::fault::{Fault, FaultKind};
use serde::Serialize;

use self::ask::{ask_for_the_rest, find_out};
use self::compose::{Composed, compose};
use self::given::Given;
use crate::cli::{Global, InitArgs, Output};
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session;
use crate::settings::write::LOOK_HERE;
use crate::settings::{self, NAME_DEFAULT, Settings};

/// The file, where none is named.
const FILE_DEFAULT: &str = "c8keep.yaml";
const WRITING: &str = "writing the configuration";

#[derive(Serialize)]
struct Written<'a> {
    file: Option<&'a Path>,
    installation: &'a str,
    /// What has to be set by hand before a backup can be taken.
    missing: &'a [Fault],
    exit_code: u8,
}

pub(super) async fn run(global: &Global, args: &InitArgs, printer: Printer) -> Result<u8, Stop> {
    let file = (!args.stdout).then(|| global.config.clone().unwrap_or_else(|| PathBuf::from(FILE_DEFAULT)));
    if let Some(file) = file.as_ref().filter(|_| !args.force) {
        refuse_existing(file)?;
    }
    let mut given = Given::of(global, args)?;
    let survey = find_out(&mut given, printer).await?;
    for finding in &survey.findings {
        session::say_finding(&finding.clone().into(), printer);
    }
    if printer.can_ask() {
        ask_for_the_rest(&mut given, printer).await;
    }
    let Composed { settings, notes, missing } = compose(&given, &survey);
    let text = settings::write::write(&settings, &notes);
    read_back(&text, &settings)?;
    match &file {
        Some(file) => save(file, &text, args.force)?,
        None => printer.text(&text),
    }
    for fault in &missing {
        printer.fault(fault);
    }
    warn(&settings, printer);
    let code = exit::first_of(missing.iter().map(|fault| fault.kind.exit_code()));
    tell(
        &Written { file: file.as_deref(), installation: settings.name(), missing: &missing, exit_code: code },
        printer,
    );
    Ok(code)
}

fn warn(settings: &Settings, printer: Printer) {
    if settings.name() == NAME_DEFAULT {
        printer.say(
            "note: the installation is named `default`; two clusters of one name in one vault exclude each other: \
             `name` in the file, or --installation",
        );
    }
    if settings.vault.is_none() {
        printer.say("note: journal and vault will lie on this machine only: `vault` in the file, or --vault");
    }
}

fn tell(written: &Written<'_>, printer: Printer) {
    match (printer.output(), written.file) {
        (Output::Text, Some(file)) => {
            let file = file.display();
            let first = match written.missing {
                [] => String::new(),
                _ => format!("  next see to what is marked {LOOK_HERE:?} in it\n"),
            };
            let next = format!(
                "{first}  next `c8keep -c {file} doctor` checks everything that a backup needs\n  next `c8keep -c {file} plan` \
                 shows what a backup would do"
            );
            printer.result(&format!("wrote {file}\n{next}"), &());
        }
        // What was asked for is the file itself.
        (_, None) => {}
        _ => printer.result("", written),
    }
}

/// What is written must be what is read tomorrow.
fn read_back(text: &str, settings: &Settings) -> Result<(), Fault> {
    match settings::parse(text) {
        Ok(read) if read == *settings => read.check(),
        read => {
            let why = read.err().map_or_else(|| "it reads back as something else".to_owned(), |(why, _)| why);
            Err(Fault::new(FaultKind::Strange, WRITING, "the new file", why)
                .with_hint("write it by hand, by docs/configuration.md, and report this"))
        }
    }
}

fn refuse_existing(file: &Path) -> Result<(), Fault> {
    // A link that leads nowhere exists as well.
    match file.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unwritable(file, &error)),
        Ok(_) => Err(Fault::new(FaultKind::Usage, WRITING, file.display().to_string(), "the file exists")
            .with_hint(
                "--config names another one, --stdout shows what would be written, --force writes over it",
            )),
    }
}

/// A file that is written over is whole at every instant, also after a power cut: the new one is on disk before it takes the
/// old one's place, with the old one's mode.
fn save(file: &Path, text: &str, force: bool) -> Result<(), Fault> {
    let failed = |error: std::io::Error| unwritable(file, &error);
    if !force {
        return write_new(file, text, None).and_then(|()| keep_names(file)).map_err(failed);
    }
    // Where it is a link, what it leads to.
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let mut beside = file.clone().into_os_string();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    // In a container every process has the same number: a leftover is one of ours.
    let _ = std::fs::remove_file(&beside);
    let mode = file.metadata().ok().map(|old| old.permissions());
    let written = write_new(&beside, text, mode).and_then(|()| std::fs::rename(&beside, &file));
    written.and_then(|()| keep_names(&file)).map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        failed(error)
    })
}

fn write_new(file: &Path, text: &str, mode: Option<Permissions>) -> std::io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).open(file)?;
    if let Some(mode) = mode {
        new.set_permissions(mode)?;
    }
    new.write_all(text.as_bytes())?;
    new.sync_all()
}

/// A name outlives a power cut once its folder is on disk.
fn keep_names(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn unwritable(file: &Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Usage, WRITING, file.display().to_string(), error.to_string())
        .with_hint("--config names another place, --stdout writes nothing")
}
