//! Figures of two sides, taken in turns.

/// What each round cost us and what it cost the constant handler.
///
/// The speed of a shared machine changes from second to second; only figures
/// taken right after one another can be compared.
#[derive(Default)]
pub(crate) struct Rounds(Vec<Round>);

#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) ours: f64,
    pub(crate) constant: f64,
}

impl Rounds {
    pub(crate) fn push(&mut self, round: Round) {
        self.0.push(round);
    }

    /// The best of either side.
    pub(crate) fn best(&self) -> Round {
        let least = |of: fn(&Round) -> f64| self.0.iter().map(of).fold(f64::INFINITY, f64::min);
        Round { ours: least(|it| it.ours), constant: least(|it| it.constant) }
    }

    pub(crate) fn median(&self) -> Round {
        Round { ours: self.middle(|it| it.ours), constant: self.middle(|it| it.constant) }
    }

    pub(crate) fn median_ratio(&self) -> f64 {
        self.middle(Round::ratio)
    }

    fn middle(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut all: Vec<_> = self.0.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }
}

impl Round {
    pub(crate) fn ratio(&self) -> f64 {
        self.ours / self.constant
    }
}
