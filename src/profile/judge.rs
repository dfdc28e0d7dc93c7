//! Finds the defect of a profile: whether it loads, and whether it denies anything.

use std::collections::BTreeMap;

use crate::{
    profile::{
        Broken, DecodedProfile, Defect, Hollow,
        action::Action,
        architecture::Architecture,
        calls::{Calls, Clash, can_hold},
        defect::Idle,
        document::{Document, Spanned, Syscall},
        json::NodeId,
        syscalls,
    },
    spelling,
};

/// The evaluated rules of each architecture, which are the same on every node.
type Known<'a> = BTreeMap<Architecture, Calls<'a>>;

impl Document {
    /// Decodes a profile file and returns its defect on any node, if it has one.
    pub fn inspect(bytes: &[u8]) -> Option<Defect> {
        match Self::parse(bytes) {
            Err(broken) => Some(broken.into()),
            Ok(document) => document.defect(),
        }
    }

    /// As [`inspect`](Self::inspect); for a file without such a defect, returns
    /// its doubt, if it has one.
    pub fn appraise(bytes: &[u8]) -> Option<Defect> {
        match DecodedProfile::parse(bytes) {
            Err(broken) => Some(broken.into()),
            Ok(profile) => profile.appraise(),
        }
    }

    /// As [`inspect`](Self::inspect), on nodes of the architecture `native`.
    pub fn inspect_on(bytes: &[u8], native: Architecture) -> Option<Defect> {
        match Self::parse(bytes) {
            Err(broken) => Some(broken.into()),
            Ok(document) => document.defect_on(native),
        }
    }

    /// The defect of this profile on nodes of any architecture; `None` if it loads
    /// and denies something on one of them.
    pub fn defect(&self) -> Option<Defect> {
        let (mut found, mut known) = (None, Known::new());
        for native in Architecture::of_nodes() {
            match (self.judge(native, &mut known)?, &mut found) {
                // Hollow on some nodes is worse than broken on all.
                (it @ Defect::Hollow(_), None | Some(Defect::Broken(_))) | (it, None) => {
                    found = Some(it);
                }
                _ => {}
            }
        }
        match found {
            Some(Defect::Hollow(Hollow::Permissive { default, idle: _ })) => {
                let idle = self.idle(&Architecture::of_nodes().collect::<Vec<_>>());
                Some(Hollow::Permissive { default, idle }.into())
            }
            found => found,
        }
    }

    /// The defect of this profile on nodes of the architecture `native`.
    pub fn defect_on(&self, native: Architecture) -> Option<Defect> {
        self.judge(native, &mut Known::new())
    }

    fn judge<'a>(&'a self, native: Architecture, known: &mut Known<'a>) -> Option<Defect> {
        if self.default_action.is_empty() && self.syscalls.is_empty() {
            let misspelt = self
                .unknown_keys
                .iter()
                .find(|it| spelling::nearest(it, ["defaultAction"]).is_some());
            return Some(Hollow::Disabled { misspelt: misspelt.cloned() }.into());
        }
        let refused = self.check().and_then(|()| self.check_on(native, known));
        match refused {
            Err(broken) => Some(broken.into()),
            Ok(()) => self.permissive(native, known).map(Defect::Hollow),
        }
    }

    /// The architectures that the filter covers on nodes of the architecture `native`.
    pub(super) fn all_architectures(&self, native: Architecture) -> Vec<Architecture> {
        let mut all = vec![native];
        for it in self.architectures.iter().filter_map(|it| Architecture::named(it)) {
            if !all.contains(&it) {
                all.push(it);
            }
        }
        all
    }

    /// Returns the first error with which libseccomp rejects the profile on such nodes.
    fn check_on<'a>(&'a self, native: Architecture, known: &mut Known<'a>) -> Result<(), Broken> {
        let named = |it: &Spanned<String>| Architecture::named(it);
        let first = self.architectures.iter().find_map(named);
        for (number, it) in self.architectures.iter().enumerate() {
            let Some(architecture) = named(it) else { continue };
            if architecture.has_the_byte_order_of(native) {
                continue;
            }
            let mixed = first.filter(|it| !architecture.has_the_byte_order_of(*it));
            let other = match mixed {
                Some(it) => it.seccomp().to_owned(),
                None => format!("{} nodes", native.node()),
            };
            let at = format!("architectures[{number}]");
            return Err(Broken::ByteOrder { at, value: architecture.seccomp(), other });
        }
        for architecture in self.all_architectures(native) {
            let calls = self.calls_on(architecture, known);
            if calls.is_cut() {
                return Err(Broken::TooManyRules);
            }
            if let Some((rule, first, names)) = calls.clashes(Clash::Conflicting).next() {
                return Err(Broken::Conflict {
                    at: self.path_of(rule),
                    first: self.path_of(first),
                    call: names.first().copied().unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Finds a profile whose default action allows or logs, and whose rules deny
    /// no call of the native architecture (L2, L3).
    fn permissive<'a>(&'a self, native: Architecture, known: &mut Known<'a>) -> Option<Hollow> {
        let default = Action::parse(&self.default_action).filter(|it| it.lets_through())?;
        if self.calls_on(native, known).stop_something() {
            return None;
        }
        Some(Hollow::Permissive { default: default.name(), idle: self.idle(&[native]) })
    }

    /// Why the first rule with a denying action has no effect.
    fn idle(&self, natives: &[Architecture]) -> Option<Idle> {
        let stops = |it: &&Spanned<Syscall>| {
            Action::parse(&it.action).is_some_and(|it| !it.lets_through()) && !it.names.is_empty()
        };
        let rules: Vec<_> = self.syscalls.iter().filter(stops).collect();
        let names = || rules.iter().flat_map(|it| &it.names).map(|it| it.as_str());
        if !names().any(syscalls::exists) {
            let names: Vec<_> = names().map(str::to_owned).collect();
            return (!names.is_empty()).then_some(Idle::NoCalls(names));
        }
        let exists = |it: &&str| natives.iter().any(|native| syscalls::exists_on(*native, it));
        if !names().any(|it| exists(&it)) {
            let call = names().find(|it| syscalls::exists(it)).unwrap_or_default().to_owned();
            let nodes = natives.iter().map(|it| it.node()).collect();
            return Some(Idle::Elsewhere { call, nodes });
        }
        let on = |call: &str| natives.iter().copied().find(|it| syscalls::exists_on(*it, call));
        let mut pairs = Vec::new();
        for rule in &rules {
            let calls = rule.names.iter().map(|it| it.as_str());
            pairs.extend(calls.filter_map(|call| Some((*rule, on(call)?, call))));
        }
        let first = pairs.first()?.1;
        let filter = Calls::on(self, first);
        if let Some(call) = filter.lost_for() {
            return Some(Idle::Lost { call: call.to_owned() });
        }
        let winners: BTreeMap<_, _> = [Clash::Swallowed, Clash::Overruled]
            .into_iter()
            .flat_map(|kind| filter.clashes(kind))
            .flat_map(|(loser, winner, calls)| calls.iter().map(move |it| ((loser, *it), winner)))
            .collect();
        let because = |rule: &Spanned<Syscall>, native: Architecture, call: &str| {
            let (at, call) = (self.path_of(rule.node), call.to_owned());
            if !can_hold(rule, native.width()) {
                return Idle::Unmet { at, call };
            }
            match winners.get(&(rule.node, call.as_str())) {
                Some(winner) => Idle::Overruled { at, by: self.path_of(*winner), call },
                None => Idle::Undecided { at, call },
            }
        };
        // A rule that may have an effect is reported before one that never has.
        let mut all = pairs.iter().map(|(rule, native, call)| because(rule, *native, call));
        let first = all.next()?;
        let is_open = |it: &Idle| matches!(it, Idle::Undecided { .. });
        Some(if is_open(&first) { first } else { all.find(is_open).unwrap_or(first) })
    }

    fn calls_on<'a, 'b>(
        &'a self,
        architecture: Architecture,
        known: &'b mut Known<'a>,
    ) -> &'b Calls<'a> {
        known.entry(architecture).or_insert_with(|| Calls::on(self, architecture))
    }

    /// The path of a rule in the document.
    fn path_of(&self, rule: NodeId) -> String {
        let number = self.syscalls.iter().position(|it| it.node == rule);
        format!("syscalls[{}]", number.unwrap_or_default())
    }
}
