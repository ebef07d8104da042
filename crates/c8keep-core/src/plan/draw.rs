//! A plan as people read it: the page's numbers, the steps in order, what each waits for.

use std::collections::BTreeSet;
use std::fmt;

use super::{Kind, Plan, Step, StepName};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "backup {} of {} ({})", self.backup(), self.installation(), self.recipe())?;
        writeln!(f, "page  step")?;
        let mut held = false;
        for (n, step) in self.steps().iter().enumerate() {
            if matches!(step.kind, Kind::Hold { .. }) {
                held = true;
                writeln!(f, "    ┌─ exporting paused, at most {:#}", self.hold_budget())?;
            }
            let page = step.page.map_or_else(|| "  ".into(), |page| format!("{page:>2}"));
            let bar = if held { '│' } else { ' ' };
            let optional = if step.required { "" } else { " (optional)" };
            let after = self.after(n, step).map(|after| format!("  [after {after}]")).unwrap_or_default();
            let line = format!("{page}  {bar} {:<21} {}{optional}{after}", step.name, step.action.describe());
            writeln!(f, "{}", line.trim_end())?;
            if step.kind == Kind::Release {
                held = false;
                writeln!(f, "    └─ exporting runs")?;
            }
        }
        Ok(())
    }
}

impl Plan {
    /// What a step waits for, unless it is simply the step above it.
    fn after(&self, n: usize, step: &Step) -> Option<String> {
        let of_plan = || self.steps().iter().take_while(|s| s.after.is_empty());
        let checks: BTreeSet<StepName> = of_plan().map(|s| s.name.clone()).collect();
        let required: BTreeSet<StepName> = of_plan().filter(|s| s.required).map(|s| s.name.clone()).collect();
        let above = n.checked_sub(1).map(|n| &self.steps()[n].name);
        if step.after.is_empty() || step.after.iter().eq(above) {
            return None;
        }
        if step.after == checks {
            return Some("every check".into());
        }
        let mut after: Vec<&str> = step.after.iter().map(|name| name.0.as_str()).collect();
        if !required.is_empty() && required.is_subset(&step.after) {
            let others = step.after.difference(&required).map(|name| name.0.as_str());
            after = std::iter::once("every required check").chain(others).collect();
        }
        Some(after.join(", "))
    }
}
