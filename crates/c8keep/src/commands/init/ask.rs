//! Asking on a terminal: one question after the other, each a few times, until nothing more can be asked or nobody answers.

use std::collections::BTreeMap;

use c8keep_adapters::discovery::Survey;

use super::forms::{Answers, Form};
use super::given::Given;
use super::questions::{self, Question, TRIES_MAX};
use crate::exit::Stop;
use crate::printer::Printer;
use crate::session;

/// Nobody has more of them beside one cluster.
const DATABASES_MAX: u32 = 20;

/// What became of a question.
enum Asked {
    /// There is an answer.
    Taken,
    /// An empty one, which stands for nothing.
    LeftOut,
    /// One that cannot be meant; why has been said.
    Refused,
    /// Nobody answers any more: the terminal has ended its input.
    Nobody,
}

/// Asks the servers, and on a terminal the operator for whatever they do not tell.
pub(super) async fn find_out(given: &mut Given, printer: Printer) -> Result<Survey, Stop> {
    let mut asked: BTreeMap<Question, u32> = BTreeMap::new();
    loop {
        let surveyed = session::survey(&given.settings).await;
        let question = questions::next(&surveyed, &given.settings, &asked).filter(|_| printer.can_ask());
        let Some(question) = question else {
            for question in questions::given_up(&surveyed, &given.settings, &asked) {
                let what = questions::topic(question);
                printer.say(&format!("{what}: asked {TRIES_MAX} times, and left open now"));
            }
            return surveyed.map_err(Stop::from);
        };
        if let Some(fault) = questions::why(question, &surveyed) {
            printer.fault(&fault);
        }
        *asked.entry(question).or_default() += 1;
        match ask(question, surveyed.as_ref().ok(), given, printer).await {
            Asked::Nobody => {
                printer.say("nobody answers any more; what is missing is left open");
                return surveyed.map_err(Stop::from);
            }
            // More than it may be asked: it is not asked again, and was not given up either.
            Asked::LeftOut if questions::may_be_left_out(question) => {
                asked.insert(question, TRIES_MAX + 1);
            }
            Asked::Taken if questions::is_optional(question) => {
                asked.insert(question, TRIES_MAX + 1);
            }
            _ => {}
        }
    }
}

/// What no server knows.
pub(super) async fn ask_for_the_rest(given: &mut Given, printer: Printer) {
    for question in [Question::Installation, Question::Vault] {
        for _ in 0..TRIES_MAX {
            if given.knows(question) {
                break;
            }
            match ask(question, None, given, printer).await {
                Asked::Refused => {}
                Asked::Nobody => return,
                Asked::LeftOut => break,
                Asked::Taken => {
                    if let (Question::Vault, Some(vault)) = (question, &given.settings.vault) {
                        printer.say(&format!("manifests will be kept in {}", vault.url));
                    }
                }
            }
        }
    }
    for _ in 0..DATABASES_MAX {
        match ask(Question::Database, None, given, printer).await {
            Asked::Taken | Asked::Refused => {}
            Asked::LeftOut | Asked::Nobody => return,
        }
    }
}

/// Asks one question, and what its answer may lead on to.
async fn ask(question: Question, survey: Option<&Survey>, given: &mut Given, printer: Printer) -> Asked {
    let prompt = questions::prompt(question, survey);
    if let Some(form) = questions::form_at_once(question) {
        printer.say(&prompt);
        return fill(question, form, given, printer).await;
    }
    let Some(mut answer) = printer.ask(prompt).await else { return Asked::Nobody };
    if answer.is_empty() {
        let Some(default) = questions::default_of(question) else { return Asked::LeftOut };
        default.clone_into(&mut answer);
    }
    let form = questions::form_of(question, &answer);
    // Of some the answer is only the name of a form.
    let is_form = matches!(question, Question::Credential(_)) && form.is_some();
    if !is_form && let Err(why) = given.answer(question, &answer) {
        printer.say(&why);
        return Asked::Refused;
    }
    match form {
        Some(form) => fill(question, form, given, printer).await,
        None => Asked::Taken,
    }
}

/// Asks for one field after the other.
async fn fill(question: Question, form: Form, given: &mut Given, printer: Printer) -> Asked {
    let mut answers = Answers::new();
    while let Some(field) = form.next(&answers) {
        let mut taken = None;
        for _ in 0..TRIES_MAX {
            let Some(answer) = printer.ask(format!("  {}", field.prompt)).await else { return Asked::Nobody };
            taken = match field.check(&answer) {
                Ok(answer) => Some(answer),
                Err(why) => {
                    printer.say(&why);
                    continue;
                }
            };
            break;
        }
        let Some(answer) = taken else {
            printer.say(&format!("asked {TRIES_MAX} times; what belongs together is left out"));
            return Asked::Refused;
        };
        answers.insert(field.key, answer);
    }
    match given.fill(question, form, &answers) {
        Ok(()) => Asked::Taken,
        Err(why) => {
            printer.say(&why);
            Asked::Refused
        }
    }
}
