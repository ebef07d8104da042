//! What is not a plan.

use super::*;
use crate::backup::HistoryApp;
use crate::capability::Dialect;
use crate::installation::SearchProduct;
use crate::recipe::tests::{installation, plan, with_databases};

fn parts() -> PlanParts {
    let apps = [HistoryApp::Webapps, HistoryApp::Optimize];
    plan(&installation(Dialect::UnifiedActuators, SearchProduct::Elasticsearch, &apps, true)).into()
}

fn refused(change: impl Fn(&mut PlanParts)) -> NotAPlan {
    let mut parts = parts();
    change(&mut parts);
    Plan::new(parts).unwrap_err()
}

fn step<'a>(parts: &'a mut PlanParts, name: &str) -> &'a mut Step {
    parts.steps.iter_mut().find(|s| s.name.0 == name).unwrap()
}

#[test]
fn the_recipe_is_a_plan_and_survives_storage() {
    let plan = Plan::new(parts()).unwrap();
    let stored = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
}

#[test]
fn a_pause_without_its_release_cannot_be_planned() {
    let without = refused(|p| p.steps.retain(|s| s.kind != Kind::Release && s.name.0 != "record-release"));
    assert!(matches!(without, NotAPlan::HoldWithoutRelease(_)), "{without}");
    let beside = refused(|p| step(p, "resume-exporting").after = ["check-id".into()].into());
    assert!(matches!(beside, NotAPlan::ReleaseBesideHold { .. }), "{beside}");
    let alone = refused(|p| step(p, "pause-exporting").kind = Kind::Effect);
    assert!(matches!(alone, NotAPlan::ReleaseWithoutHold(_)), "{alone}");
}

#[test]
fn what_else_is_not_a_plan() {
    assert!(matches!(refused(|p| p.format = 2), NotAPlan::Format(2)));
    assert!(matches!(refused(|p| p.steps.swap(0, 8)), NotAPlan::UnknownPredecessor { .. }));
    let twice = refused(|p| p.steps.push(p.steps[0].clone()));
    assert!(matches!(twice, NotAPlan::NameTwice(_)), "{twice}");
    let no_census = refused(|p| step(p, "take-census").action = Action::CheckStore);
    assert!(matches!(no_census, NotAPlan::FactMissing { fact: FactKind::Census, .. }), "{no_census}");
    assert!(matches!(refused(|p| step(p, "check-id").limits.attempts_max = 0), NotAPlan::NoLimits(_)));
    assert!(matches!(refused(|p| step(p, "publish-manifest").kind = Kind::Effect), NotAPlan::Pivot));
    let racing = refused(|p| {
        let mut effect = step(p, "start-optimize").clone();
        effect.name = "straggler".into();
        p.steps.push(effect);
    });
    assert!(matches!(racing, NotAPlan::EffectBesidePivot(_)), "{racing}");
}

/// A dump takes as long as it takes: the window neither begins nor ends later for it, and the manifest names it.
#[test]
fn the_window_waits_for_no_dump_and_the_manifest_for_all() {
    let refused = |change: &dyn Fn(&mut PlanParts)| {
        let mut parts = plan(&with_databases(Dialect::UnifiedActuators)).into();
        change(&mut parts);
        Plan::new(parts).unwrap_err()
    };
    for window in ["pause-exporting", "read-positions-again"] {
        let waits = refused(&|p| {
            step(p, window).after.insert("dump-web-modeler".into());
        });
        assert!(matches!(waits, NotAPlan::WindowWaits { .. }), "{window}: {waits}");
    }
    let late = refused(&|p| {
        step(p, "publish-manifest").after.remove(&StepName::from("dump-rest"));
        step(p, "dump-rest").after = ["publish-manifest".into()].into();
        let dump = p.steps.iter().position(|s| s.name.0 == "dump-rest").unwrap();
        let dump = p.steps.remove(dump);
        p.steps.push(dump);
    });
    assert!(matches!(late, NotAPlan::DumpAfterPivot(_)), "{late}");
}

/// P0 must be read before the first snapshot that has to contain it, and before the runtime backup.
#[test]
fn the_witness_is_read_in_time() {
    let apps = [HistoryApp::Operate, HistoryApp::Tasklist];
    for (dialect, first) in
        [(Dialect::SplitActuators, "snapshot-records"), (Dialect::UnifiedActuators, "start-history")]
    {
        let apps: &[HistoryApp] =
            if dialect == Dialect::SplitActuators { &apps } else { &[HistoryApp::Webapps] };
        let plan = plan(&installation(dialect, SearchProduct::Opensearch, apps, true));
        let ancestors = ancestors(plan.steps()).unwrap();
        for step in [first, "start-runtime"] {
            assert!(ancestors[&StepName::from(step)].contains(&StepName::from("read-positions")), "{step}");
        }
    }
}
