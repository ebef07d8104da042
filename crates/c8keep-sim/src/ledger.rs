//! The simulated journal. It promises what the real one does: an acknowledged append survives, of any other nobody knows,
//! and a process whose append has failed is taken nothing more from.

use std::collections::{BTreeMap, BTreeSet};

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Fingerprint;
use c8keep_core::run::{Event, Run, RunId};
use c8keep_engine::ports::{RunRow, Term};

/// Everything that survives the death of processes.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Oldest first.
    pub books: Vec<Book>,
    /// Every host has a journal of its own, and so its own newest term.
    terms: BTreeMap<usize, u64>,
    checks_terms: bool,
}

/// One run's events.
#[derive(Debug)]
pub struct Book {
    /// Which run.
    pub id: RunId,
    /// In which host's journal.
    pub host: usize,
    installation: String,
    fingerprint: Fingerprint,
    closed: bool,
    /// As the real journal keeps them.
    bodies: Vec<String>,
    /// The fold of all that a process was told is there.
    pub run: Run,
    /// Which process opened it or has taken it over.
    pub driver: usize,
    /// Processes that drove it before.
    pub former: BTreeSet<usize>,
    /// Another host has released its pause; this host's journal does not know.
    pub released_elsewhere: bool,
}

impl Ledger {
    /// An empty journal; one that does not check terms is a mutant's.
    pub fn new(checks_terms: bool) -> Ledger {
        Ledger { checks_terms, ..Ledger::default() }
    }

    /// Raises the term.
    pub fn claim(&mut self, host: usize) -> Term {
        let term = self.terms.entry(host).or_default();
        *term += 1;
        Term(*term)
    }

    /// Appends; with `acknowledged` unset, what is written is durable and the process does not know.
    pub fn append(
        &mut self,
        (host, driver): (usize, usize),
        id: &RunId,
        seq: u64,
        term: Term,
        events: &[Event],
        acknowledged: bool,
    ) -> Result<(), Fault> {
        if let Some(Event::Opened { plan, .. }) = events.first() {
            let run = Run::open(events[0].clone()).map_err(|e| refused(&e.to_string()))?;
            self.check(host, id, 0, seq, term)?;
            self.books.push(Book {
                id: id.clone(),
                host,
                installation: plan.installation().to_owned(),
                fingerprint: plan.fingerprint().clone(),
                closed: false,
                bodies: vec![body(&events[0])?],
                run,
                driver,
                former: BTreeSet::new(),
                released_elsewhere: false,
            });
            return Ok(());
        }
        let last = self.book(host, id).map_or(0, |book| book.bodies.len() as u64);
        self.check(host, id, last, seq, term)?;
        let Some(book) = self.books.iter_mut().find(|book| book.is(host, id)) else {
            return Err(refused("the run was never opened"));
        };
        if book.closed {
            return Err(refused("the run is closed"));
        }
        for event in events {
            book.bodies.push(body(event)?);
            book.closed |= matches!(event, Event::Closed { .. });
            if acknowledged {
                book.run.apply(event).map_err(|e| refused(&e.to_string()))?;
            }
        }
        if book.driver != driver {
            book.former.insert(std::mem::replace(&mut book.driver, driver));
        }
        Ok(())
    }

    /// All events of a run; from now on a process knows of them.
    pub fn events(&mut self, host: usize, id: &RunId) -> Result<Vec<Event>, Fault> {
        let Some(book) = self.books.iter_mut().find(|book| book.is(host, id)) else { return Ok(Vec::new()) };
        let read = book.bodies.iter().map(|body| serde_json::from_str(body));
        let events: Vec<Event> =
            read.collect::<Result<_, _>>().map_err(|e| refused(&format!("unreadable: {e}")))?;
        book.run = Run::replay(events.clone()).map_err(|e| refused(&e.to_string()))?;
        Ok(events)
    }

    /// Newest first.
    pub fn rows(&self, host: usize, installation: &str, limit: u32) -> Vec<RunRow> {
        let of = |book: &Book| RunRow {
            run: book.id.clone(),
            fingerprint: book.fingerprint.clone(),
            closed: book.closed,
        };
        let own =
            self.books.iter().rev().filter(|book| book.host == host && book.installation == installation);
        own.take(limit as usize).map(of).collect()
    }

    /// The book of a run.
    pub fn book(&self, host: usize, id: &RunId) -> Option<&Book> {
        self.books.iter().find(|book| book.is(host, id))
    }

    fn check(&self, host: usize, id: &RunId, last: u64, seq: u64, term: Term) -> Result<(), Fault> {
        let newest = self.terms.get(&host).copied().unwrap_or(0);
        if self.checks_terms && term.0 != newest {
            let why = format!("the claim {} was superseded by {newest}", term.0);
            return Err(Fault { kind: FaultKind::Locked, ..refused(&why) });
        }
        if seq != last + 1 {
            return Err(refused(&format!("event {seq} of {id} cannot follow event {last}")));
        }
        Ok(())
    }
}

impl Book {
    fn is(&self, host: usize, id: &RunId) -> bool {
        self.host == host && self.id == *id
    }

    /// Whether exporting is paused for it, as far as anybody knows.
    pub fn holds(&self) -> bool {
        self.run.hold().is_open() && !self.released_elsewhere
    }

    /// Whether its last event closed it.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Its events as they are kept.
    pub fn bodies(&self) -> &[String] {
        &self.bodies
    }
}

/// A fault of the journal.
pub fn refused(answer: &str) -> Fault {
    Fault::new(FaultKind::Storage, "writing the journal", "the simulated journal", answer)
}

fn body(event: &Event) -> Result<String, Fault> {
    serde_json::to_string(event).map_err(|e| refused(&e.to_string()))
}
