//! Values that are denied, and pass with other upper halves.

use super::{Calls, Outcome, condition::Condition};
use crate::profile::{
    action::Operator,
    architecture::Width,
    document::{Arg, Spanned, Syscall},
};

/// The most names and conditions that are looked at.
const MOST_STEPS: usize = 200_000;

/// The search for such values, of limited length: anyone may write a profile.
pub(in crate::profile) struct Search {
    left: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self { left: MOST_STEPS }
    }
}

impl Search {
    /// Counts steps; `None` if there have been too many.
    pub(in crate::profile) fn spend(&mut self, steps: usize) -> Option<()> {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or_default();
        left.map(|_| ())
    }

    /// A value of 32 bits of the argument with which the call is denied, although it passes with the
    /// same lower half, because of this condition of this rule.
    pub(in crate::profile) fn find(
        &mut self,
        calls: &Calls<'_>,
        call: &str,
        rule: &Spanned<Syscall>,
        arg: &Spanned<Arg>,
    ) -> Option<u64> {
        self.spend(rule.args.len())?;
        let index = usize::try_from(*arg.index).ok()?;
        let mut args = others(rule, arg)?;
        for low in condition(arg)?.edges().map(|it| it & u64::from(u32::MAX)) {
            self.spend(2 * calls.sets(call) + 2)?;
            *args.get_mut(index)? = low;
            let (low_outcome, denying) = calls.decide(call, &args)?;
            args[index] = low | 1 << 32;
            let (high_outcome, allowing) = calls.decide(call, &args)?;
            let is_open = matches!(low_outcome, Outcome::Certain(it) if it.stops())
                && matches!(high_outcome, Outcome::Certain(it) if !it.stops());
            // A rule that lets a value pass is to blame or, where the default action does, the rule
            // that denies the other one.
            let blamed = if allowing.is_empty() { &denying } else { &allowing };
            if is_open && blamed.contains(&rule.node) {
                return Some(low);
            }
        }
        None
    }
}

fn condition(arg: &Arg) -> Option<Condition> {
    Condition::of(arg, Operator::parse(&arg.op)?, Width::Bits64)
}

/// Arguments that meet the other conditions of the rule.
fn others(rule: &Syscall, arg: &Arg) -> Option<[u64; 6]> {
    let mut args = [0; 6];
    for other in rule.args.iter().filter(|it| *it.index != *arg.index) {
        let Some(condition) = condition(other) else { continue };
        let with = |value| {
            let mut args = [0; 6];
            args[usize::try_from(condition.index).ok().filter(|it| *it < 6)?] = value;
            Some(args)
        };
        let value = condition
            .edges()
            .into_iter()
            .find(|it| with(*it).is_some_and(|args| condition.holds(&args)))?;
        args[usize::try_from(condition.index).ok()?] = value;
    }
    Some(args)
}
