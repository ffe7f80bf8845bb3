//! Calls over a link that loses datagrams, both ways: everything has to end properly, and nothing may be left behind.

mod link;

pub use link::LossyLink;

use crate::peers::{Scenario, Sipp, SippPlan, SippResult, Switch, SwitchPlan, wait_for};
use clock::Duration;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How often SIPp repeats a request before it gives up: with that many copies lost the call may fail.
const COPIES: u32 = 7;
/// Of so many calls one may lose all copies of a request, or of its answers, at 10 % each way (0.19^7, twice).
const CALLS_PER_LOSER: u32 = 2_000;

/// The load of a `loss` run, and the loss of its link.
#[derive(Clone, Debug)]
pub struct LossPlan {
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Calls in all.
    pub calls: u32,
    /// New calls a second.
    pub rate: u32,
    /// Most calls at once.
    pub limit: u16,
    /// Datagrams that are lost, of a hundred, each way.
    pub loss_percent: u32,
    /// Timer T1 of both sides.
    pub t1: Duration,
    /// Seed of the random losses.
    pub seed: u64,
}

/// What was found.
pub struct LossRun {
    /// What SIPp counted.
    pub result: SippResult,
    /// Datagrams that came to the link, and that it lost.
    pub datagrams: (u64, u64),
    /// Levels of the switch that are not zero at the end, by name.
    pub left: Vec<(&'static str, u64)>,
    plan: LossPlan,
}

/// Everything of the switch that has to be zero when all calls are over.
const LEVELS: [&str; 6] =
    ["calls_active", "transactions_open", "legs_open", "ports_in_use", "dialogs_never_ended", "legs_never_closed"];

/// Makes the calls and waits until the switch has forgotten them.
pub fn lose(plan: &LossPlan, folder: &Path) -> io::Result<LossRun> {
    let mut switch = SwitchPlan::new(&plan.program);
    // A call whose caller has given up goes on here until its own requests run out.
    let most = plan.limit.saturating_add(plan.limit / 4);
    switch.port_pairs = most;
    switch.sip = format!("t1_ms = {}\nmax_calls = {most}", plan.t1.as_millis());
    let switch = Switch::start(folder, &switch)?;
    let link = LossyLink::start(switch.sip, plan.loss_percent, plan.seed)?;
    let scenario = include_str!("../scenarios/lossy.xml")
        .replace("retrans=\"T1\"", &format!("retrans=\"{}\"", plan.t1.as_millis()))
        .replace("PORT", &link.back.port().to_string());
    let file = folder.join("lossy.xml");
    fs::write(&file, scenario)?;
    let copies = COPIES.to_string();
    let more = ["-max_invite_retrans", &copies, "-max_non_invite_retrans", &copies];
    let sipp = SippPlan {
        scenario: Scenario::File(file),
        user: "echo".into(),
        rate: plan.rate,
        calls: plan.calls,
        limit: plan.limit.into(),
        hold: 2 * plan.t1,
        more: more.map(str::to_owned).into(),
    };
    let give_up = plan.t1.saturating_mul(64);
    let making = Duration::from_secs(u64::from(plan.calls / plan.rate.max(1)));
    let sipp = Sipp::start(folder, "lossy", Some(link.front), &sipp)?;
    let result = sipp.finish(making + 4 * give_up + Duration::from_secs(60))?;
    let left = || -> io::Result<Vec<(&'static str, u64)>> {
        let mut left = Vec::new();
        for name in LEVELS {
            let value = switch.counter(name)?;
            if value > 0 {
                left.push((name, value));
            }
        }
        Ok(left)
    };
    // A BYE that nobody answers takes 64*T1, what absorbs copies of it as long again.
    wait_for(3 * give_up + Duration::from_secs(60), || left().is_ok_and(|left| left.is_empty()).then_some(()));
    Ok(LossRun { result, datagrams: link.counts(), left: left()?, plan: plan.clone() })
}

impl LossRun {
    /// Whether all went as it should; what did not, in words.
    pub fn verdict(&self) -> Result<(), String> {
        let result = &self.result;
        let (good, unexpected) = (result.count("SuccessfulCall"), result.count("FailedUnexpectedMessage"));
        let may_fail = u64::from(self.plan.calls.div_ceil(CALLS_PER_LOSER));
        let (came, lost) = self.datagrams;
        let share = lost * 100 / came.max(1);
        if good + may_fail < self.plan.calls.into() || unexpected > 0 {
            return Err(format!(
                "{good} of {} calls succeeded, {unexpected} got an unexpected message\n{}",
                self.plan.calls, result.errors
            ));
        }
        if share.abs_diff(self.plan.loss_percent.into()) > 3 {
            return Err(format!("{lost} of {came} datagrams were lost, which is {share} %"));
        }
        if !self.left.is_empty() {
            return Err(format!("the switch still has {:?}", self.left));
        }
        Ok(())
    }

    /// In one line.
    pub fn to_text(&self) -> String {
        let (came, lost) = self.datagrams;
        format!(
            "{} of {} calls succeeded, {} gave up; {lost} of {came} datagrams lost; retransmissions of SIPp {}; left behind: {:?}",
            self.result.count("SuccessfulCall"),
            self.plan.calls,
            self.result.count("FailedMaxUDPRetrans"),
            self.result.count("Retransmissions"),
            self.left
        )
    }
}
