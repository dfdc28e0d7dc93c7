//! A condition on one argument of a system call.

use crate::profile::{action::Operator, architecture::Width, document::Arg};

/// A condition on one argument. Equal conditions are one node in the tree that
/// libseccomp makes of the rules for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::profile) struct Condition {
    pub(super) index: u64,
    operator: Operator,
    value: u64,
    /// The bits of the argument that are compared.
    mask: u64,
}

impl Condition {
    /// The condition as the filter of an architecture compares it; `None` if every
    /// value meets it: libseccomp omits an empty mask.
    pub(super) fn of(arg: &Arg, operator: Operator, width: Width) -> Option<Self> {
        let all = largest(width);
        let (value, mask) = match operator {
            Operator::MaskedEq => (*arg.value_two & *arg.value & all, *arg.value & all),
            _ => (*arg.value & all, all),
        };
        (mask != 0).then_some(Self { index: *arg.index, operator, value, mask })
    }

    /// The condition that the argument has this value.
    pub(super) fn equals(index: u64, value: u64, width: Width) -> Self {
        Self { index, operator: Operator::Eq, value, mask: largest(width) }
    }

    pub(super) fn holds(&self, args: &[u64; 6]) -> bool {
        let Some(argument) = usize::try_from(self.index).ok().and_then(|it| args.get(it)) else {
            return false;
        };
        let argument = argument & self.mask;
        match self.operator {
            Operator::Ne => argument != self.value,
            Operator::Lt => argument < self.value,
            Operator::Le => argument <= self.value,
            Operator::Eq | Operator::MaskedEq => argument == self.value,
            Operator::Ge => argument >= self.value,
            Operator::Gt => argument > self.value,
        }
    }

    /// Whether no value meets the condition. Conditions are about different
    /// arguments, so all can be met together if each can be met.
    pub(super) fn is_impossible(&self) -> bool {
        match self.operator {
            Operator::Lt => self.value == 0,
            Operator::Gt => self.value == self.mask,
            _ => false,
        }
    }

    /// How many nodes of the tree compare it: one for each half and, for an
    /// inequality, one for whether the upper half decides.
    pub(super) fn nodes(&self, width: Width) -> usize {
        match (width, self.operator) {
            (Width::Bits32, _) => usize::from(self.mask & largest(width) != 0),
            (Width::Bits64, Operator::Eq | Operator::Ne | Operator::MaskedEq) => 2,
            (Width::Bits64, _) => 3,
        }
    }

    /// Whether libseccomp compares it in one step.
    pub(super) fn is_equality(&self) -> bool {
        matches!(self.operator, Operator::Eq | Operator::MaskedEq)
    }

    /// Whether the value fits into the lower half.
    pub(super) fn is_small(&self) -> bool {
        u32::try_from(self.value).is_ok()
    }

    /// The values from which on it holds, or no longer does; `None` if it compares some bits only.
    pub(super) fn bounds(&self, largest: u64) -> Option<Vec<u64>> {
        let after = self.value.checked_add(1);
        Some(match self.operator {
            Operator::MaskedEq if self.mask != largest => return None,
            Operator::Eq | Operator::Ne | Operator::MaskedEq => {
                [self.value].into_iter().chain(after).collect()
            }
            Operator::Lt | Operator::Ge => vec![self.value],
            Operator::Le | Operator::Gt => after.into_iter().collect(),
        })
    }

    /// The number of the argument.
    pub(in crate::profile) fn argument(&self) -> usize {
        usize::try_from(self.index).map_or(0, |it| it.min(5))
    }

    pub(super) fn operator(&self) -> Operator {
        self.operator
    }

    /// The bits that are compared, and their value.
    pub(super) fn masked(&self) -> (u64, u64) {
        (self.mask, self.value)
    }

    /// Values on both sides of the bound.
    pub(super) fn edges(&self) -> [u64; 3] {
        [self.value, self.value.wrapping_sub(1) & self.mask, self.value.wrapping_add(1) & self.mask]
    }
}

/// The largest value of an argument.
pub(super) fn largest(width: Width) -> u64 {
    match width {
        Width::Bits32 => u32::MAX.into(),
        Width::Bits64 => u64::MAX,
    }
}
