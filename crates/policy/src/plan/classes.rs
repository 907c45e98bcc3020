//! The keys of a population sorted by shape.

use std::collections::BTreeMap;

use terms::Moment;

use super::shape::{Shape, Shaper};

/// The keys of a population sorted by shape, as of one moment. The order of classes is that of their shapes.
#[derive(Debug)]
pub(crate) struct Classes {
    /// The shapes, in order.
    pub(crate) shapes: Vec<Shape>,
    /// Of each key, in order of arrival, the place of its shape.
    pub(crate) of: Vec<u32>,
}

impl Classes {
    /// Sorts the keys of the shaper's population.
    pub(crate) fn sort(shaper: &Shaper<'_>, at: Moment) -> Self {
        let mut known: BTreeMap<Shape, u32> = BTreeMap::new();
        let mut of = Vec::with_capacity(shaper.population.members.len());
        for member in &shaper.population.members {
            let shape = shaper.shape(member, at);
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            of.push(*known.entry(shape).or_insert(next));
        }
        let mut rank = vec![0; known.len()];
        for (place, met) in (0_u32..).zip(known.values()) {
            if let Some(slot) = rank.get_mut(index(*met)) {
                *slot = place;
            }
        }
        for class in &mut of {
            *class = rank.get(index(*class)).copied().unwrap_or(*class);
        }
        Self { shapes: known.into_keys().collect(), of }
    }
}

/// Returns a place as an index.
pub(crate) fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
