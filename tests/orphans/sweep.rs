//! The treatment of orphans.

use serde_json::Value;

use crate::stage::{stage, until, until_looked};

const DELETE: &str = "--delete-orphans";

#[test]
fn an_orphan_is_reported_and_left_alone_by_default() {
    let stage = stage();
    let operator = stage.operator(&[]);
    stage.deploy("kept");
    stage.until_made(&["kept"], &operator);
    let orphan = stage.plant("prod", "lost", "east");
    stage.until_orphans(&[("lost", "Reported")], &operator);

    let told = stage.target()["status"]["orphans"][0].clone();
    assert_eq!(
        (&told["name"], &told["namespace"], &told["offer"]),
        (&orphan.as_str().into(), &"team".into(), &"p5".into())
    );
    assert_eq!((&told["replicas"], &told["hourlyCost"]), (&2.into(), &"20.00".into()), "2 of 8 accelerators for $80");
    assert_eq!(told["since"], stage.on_member(&orphan)["metadata"]["creationTimestamp"]);
    until("an event tells of it", || stage.was_told("OrphansFound", &orphan), || operator.log());
    let metrics = operator.metrics();
    assert!(metrics.contains("roadstead_orphans{target=\"east\"} 1"), "{metrics}");
    assert!(metrics.contains("roadstead_orphans_hourly_cost_dollars{target=\"east\"} 20.0"), "{metrics}");

    let table = stage.roadstead_orphans(&["--context", "ground"]);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..6], ["east", &orphan, "team/lost", "p5", "2", "20.00"], "{table}");
    assert!(row[7] == "Reported" && table.contains("1 orphan for $20.00/h."), "{table}");
    let json: Value = serde_json::from_str(&stage.roadstead_orphans(&["-o", "json"])).unwrap();
    assert_eq!(
        (&json["hourlyCost"], &json["orphans"][0]["name"]),
        (&"20.00".into(), &orphan.as_str().into()),
        "{json}"
    );

    let version = stage.target()["metadata"]["resourceVersion"].clone();
    until_looked(5, &operator);
    assert_eq!(stage.target()["metadata"]["resourceVersion"], version, "settled means silent");
    assert!(!stage.is_leaving(&orphan), "it was not to be deleted");
}

#[test]
fn what_was_not_swept_yet_is_not_told_to_be_free_of_orphans() {
    let stage = stage();
    let orphan = stage.plant("prod", "lost", "east");
    let operator = stage.operator(&["--orphan-interval-seconds=3600"]);
    until("the target is ready", || stage.target_reason() == "Ready", || operator.log());
    until(
        "the sweep is told to be pending",
        || stage.roadstead_orphans(&[]).contains("No orphans at 0 of 1 target; unknown at the others:\neast: "),
        || format!("{}\n{}", stage.roadstead_orphans(&[]), operator.log()),
    );
    let json: Value = serde_json::from_str(&stage.roadstead_orphans(&["-o", "json"])).unwrap();
    let pending = &json["notSwept"][0];
    assert_eq!((&pending["target"], &pending["reason"]), (&"east".into(), &"SweepPending".into()), "{json}");
    drop(operator);
    let operator = stage.operator(&[]);
    stage.until_orphans(&[("lost", "Reported")], &operator);
    assert!(!stage.roadstead_orphans(&[]).contains("not known"), "{}", stage.roadstead_orphans(&[]));
    drop(operator);
    // Where all that is there is accounted for, that is known without a sweep.
    stage.finish("deploy", &orphan);
    stage.clear();
    let operator = stage.operator(&["--orphan-interval-seconds=3600"]);
    until(
        "nothing is there",
        || stage.roadstead_orphans(&[]) == "No orphans at 1 target.\n",
        || format!("{}\n{}", stage.roadstead_orphans(&[]), operator.log()),
    );
}

#[test]
fn a_restart_tells_nothing_twice() {
    let stage = stage();
    let operator = stage.operator(&[]);
    stage.plant("prod", "lost", "east");
    stage.until_orphans(&[("lost", "Reported")], &operator);
    let before = stage.target();
    drop(operator);
    let operator = stage.operator(&[]);
    until(
        "the target is judged again",
        || operator.metrics().contains("roadstead_orphans{target=\"east\"} 1"),
        || operator.log(),
    );
    until_looked(3, &operator);
    assert_eq!(stage.target()["status"]["orphans"], before["status"]["orphans"]);
}

#[test]
fn a_deployment_takes_over_what_it_finds_and_that_is_no_orphan() {
    let stage = stage();
    let operator = stage.operator(&[]);
    let orphan = stage.plant("prod", "late", "east");
    stage.until_orphans(&[("late", "Reported")], &operator);
    stage.deploy("late");
    stage.until_orphans(&[], &operator);
    until("that is told", || stage.was_told("OrphansGone", "no orphans left on this target"), || operator.log());
    assert_eq!(stage.made_for("late"), orphan, "it is not made twice");
}

#[test]
fn what_a_restored_hub_has_forgotten_goes_where_that_is_asked_for_and_nothing_else() {
    let stage = stage();
    let operator = stage.operator(&[]);
    for name in ["kept", "other", "lost"] {
        stage.deploy(name);
    }
    stage.until_made(&["kept", "other", "lost"], &operator);
    drop(operator);
    let lost = stage.made_for("lost");
    let kept = [stage.made_for("kept"), stage.made_for("other")];
    assert_eq!(stage.belongings(&lost), 3, "a Service, a budget and a key");
    // The backup was made before this deployment was.
    stage.forget("lost");
    // Another installation in the same namespace; a name that the tags do not give; another target's.
    let foreign = stage.plant("staging", "lost", "east");
    stage.plant_as("lost-by-hand", "prod", "lost", "east");
    let misplaced = stage.plant("prod", "lost", "west");
    let versions = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| stage.on_member(name)["metadata"]["resourceVersion"].clone()).collect()
    };
    let untouched = [kept[0].as_str(), &kept[1], &foreign, "lost-by-hand", &misplaced];
    let before = versions(&untouched);

    let operator = stage.operator(&[DELETE]);
    until("the orphan leaves", || stage.is_leaving(&lost), || operator.log());
    stage.until_orphans(&[("lost", "Misplaced"), ("lost", "Removing")], &operator);
    assert_eq!(stage.belongings(&lost), 0, "what belongs to it goes before it");
    until("that is told", || stage.was_told("OrphanRemoved", &lost), || operator.log());
    stage.finish("deploy", &lost);
    stage.until_orphans(&[("lost", "Misplaced")], &operator);
    assert!(operator.metrics().contains("roadstead_orphans_removed_total 1"), "{}", operator.metrics());
    until_looked(4, &operator);
    assert_eq!(versions(&untouched), before, "what is not an orphan of ours is not touched");
    assert_eq!(stage.belongings(&kept[0]), 3);
}

#[test]
fn a_hub_restored_from_an_empty_backup_deletes_nothing() {
    let stage = stage();
    let operator = stage.operator(&[]);
    let fleet = ["a", "b", "c"];
    for name in fleet {
        stage.deploy(name);
    }
    stage.until_made(&fleet, &operator);
    drop(operator);
    let made: Vec<String> = fleet.iter().map(|name| stage.made_for(name)).collect();
    stage.forget_everything();

    let operator = stage.operator(&[DELETE]);
    stage.until_orphans(&[("a", "Held"), ("b", "Held"), ("c", "Held")], &operator);
    until_looked(5, &operator);
    assert!(stage.roadstead_orphans(&[]).contains("Held: orphan deletion paused: the hub lists no ModelDeployment"));
    // One deployment of three is not enough to believe the hub either.
    stage.deploy("a");
    stage.until_orphans(&[("b", "Held"), ("c", "Held")], &operator);
    until_looked(5, &operator);
    assert!(stage.roadstead_orphans(&[]).contains("Held: orphan deletion paused: the hub knows less than half of"));
    for (name, made) in fleet.iter().zip(&made) {
        assert!(!stage.is_leaving(made), "{name} was deleted");
    }
    // The rest of the fleet is applied from files: all is taken over, nothing is made anew.
    drop(operator);
    stage.deploy("b");
    stage.deploy("c");
    let operator = stage.operator(&[DELETE]);
    stage.until_orphans(&[], &operator);
    for (name, made) in fleet.iter().zip(made) {
        assert_eq!(stage.made_for(name), made);
    }
}

#[test]
fn on_a_member_that_another_hub_claims_nothing_is_deleted() {
    let stage = stage();
    let operator = stage.operator(&[DELETE]);
    for name in ["a", "b"] {
        stage.deploy(name);
    }
    stage.until_made(&["a", "b"], &operator);
    stage.claim_for_another_hub();
    let orphan = stage.plant("prod", "lost", "east");
    until("the claim is noticed", || stage.target_reason() == "InstallationConflict", || operator.log());
    until_looked(5, &operator);
    assert!(!stage.is_leaving(&orphan), "{}", operator.log());
}

#[test]
fn while_the_hub_lists_only_a_part_of_its_objects_nothing_is_judged() {
    let stage = stage();
    let account = stage.account();
    let all = ["get", "list", "watch", "create", "patch", "delete"];
    stage.grant(&all);
    let operator = stage.operator_as(&account, &[DELETE]);
    for name in ["a", "b"] {
        stage.deploy(name);
    }
    stage.until_made(&["a", "b"], &operator);
    // Its watches go on, and so do the listings of endpoints; those of deployments are refused.
    stage.grant(&all.map(|verb| if verb == "list" { "watch" } else { verb }));
    let orphan = stage.plant("prod", "lost", "east");
    until("listings are refused", || operator.count("no orphan is judged") >= 5, || operator.log());
    assert_eq!(stage.orphans(), []);
    assert!(!stage.is_leaving(&orphan));
    stage.grant(&all);
    until("the orphan leaves", || stage.is_leaving(&orphan), || operator.log());
    for kept in ["a", "b"] {
        assert!(!stage.is_leaving(&stage.made_for(kept)), "{kept} was deleted");
    }
}
