//! Lists: looked up where a filter demands a value, else read through to a bound.

use control::Document;
use scim::{Query, Resource, ResourceType, ScimType, Start, list_response};
use serde_json::Value;
use terms::ChannelId;

use super::{
    Scim,
    record::{Record, collection, document_id},
    refusal::Refusal,
};

/// How many resources an answer holds at most.
pub(super) const RESULTS_MAX: usize = 200;
/// How many resources are opened for one request: some 5000 of 2 KiB, 10 MiB, and half a second of one thread.
const OPENED_MAX: usize = 5_000;
/// How many documents are read at a time.
const READ_AT_ONCE: u32 = 500;

/// The page that is being filled.
struct Page<'a> {
    start: Start<'a>,
    most: usize,
    total: usize,
    resources: Vec<Resource>,
    /// True if the list goes on after it.
    goes_on: bool,
}

impl Scim {
    /// Answers a query over the resources of `kinds`.
    pub(super) fn list(&self, channel: &ChannelId, kinds: &[ResourceType], query: &Query) -> Result<Value, Refusal> {
        if let [kind] = kinds {
            query.check(*kind)?;
        }
        let (start, most) = query.window(RESULTS_MAX);
        check_cursor(start, kinds, query)?;
        let mut page = Page { start, most, total: 0, resources: Vec::new(), goes_on: false };
        match query.is_a_walk() {
            true => self.walk(channel, kinds, &mut page)?,
            false => self.select(channel, kinds, query, &mut page)?,
        }
        let shown: Vec<Value> = page.resources.iter().map(|resource| query.projection.apply(resource)).collect();
        let next = page.resources.last().filter(|_| page.goes_on).and_then(|last| last.text("id"));
        Ok(list_response(&shown, page.total, start, next))
    }

    /// Counts all resources and opens only those of the page.
    fn walk(&self, channel: &ChannelId, kinds: &[ResourceType], page: &mut Page<'_>) -> Result<(), Refusal> {
        for kind in kinds {
            self.for_each(channel, *kind, |document| {
                if page.takes(Record::id_in(&document.id)) {
                    page.resources.push(self.open(*kind, document)?.shown(&self.base_url(channel)));
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn select(
        &self,
        channel: &ChannelId,
        kinds: &[ResourceType],
        query: &Query,
        page: &mut Page<'_>,
    ) -> Result<(), Refusal> {
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(self.matching(channel, *kind, query)?);
        }
        query.sort(&mut found);
        for resource in found {
            if page.takes(resource.text("id").unwrap_or_default()) {
                page.resources.push(resource);
            }
        }
        Ok(())
    }

    fn matching(&self, channel: &ChannelId, kind: ResourceType, query: &Query) -> Result<Vec<Resource>, Refusal> {
        let base_url = self.base_url(channel);
        let mut found = Vec::new();
        if let Some(lookup) = query.filter.as_ref().and_then(|filter| filter.lookup(kind)) {
            let records = self.read(|view| self.look_up(view, channel, kind, &lookup))?;
            found.extend(records.iter().map(|record| record.shown(&base_url)).filter(|one| query.matches(one)));
            return Ok(found);
        }
        let mut opened = 0;
        self.for_each(channel, kind, |document| {
            opened += 1;
            if opened > OPENED_MAX {
                let detail =
                    "the filter would look at more than 5000 resources: ask for `userName eq` or `externalId eq`";
                return Err(Refusal::scim(ScimType::TooMany, detail));
            }
            let resource = self.open(kind, document)?.shown(&base_url);
            if query.matches(&resource) {
                found.push(resource);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Visits every document of one type of one channel, in order of id. The registry is read page by page: what is written
    /// meanwhile may be visited or not.
    pub(super) fn for_each(
        &self,
        channel: &ChannelId,
        kind: ResourceType,
        mut visit: impl FnMut(&Document) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let prefix = document_id(channel, "");
        let mut after = prefix.clone();
        loop {
            let page = self.federation.read(|view| view.documents(collection(kind), &after, READ_AT_ONCE))?;
            let own = page.iter().take_while(|document| document.id.starts_with(&prefix));
            let mut count = 0;
            for document in own {
                visit(document)?;
                count += 1;
            }
            let is_last = count < page.len() || page.len() < usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX);
            match page.last() {
                Some(last) if !is_last => after.clone_from(&last.id),
                _ => return Ok(()),
            }
        }
    }
}

impl Page<'_> {
    /// Counts the next resource of the list, and returns true if it belongs on the page.
    fn takes(&mut self, id: &str) -> bool {
        let has_begun = match self.start {
            Start::Skip(skipped) => self.total >= skipped,
            Start::After(cursor) => id > cursor,
        };
        self.total += 1;
        let has_room = self.resources.len() < self.most;
        self.goes_on |= has_begun && !has_room;
        has_begun && has_room
    }
}

/// A cursor is the id of the last resource before the page, so it goes with one type and with no order but its own.
fn check_cursor(start: Start<'_>, kinds: &[ResourceType], query: &Query) -> Result<(), Refusal> {
    let Start::After(cursor) = start else { return Ok(()) };
    let is_id = cursor.len() <= 36 && cursor.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let refusal = |detail: &str| Err(Refusal::scim(ScimType::InvalidCursor, detail));
    match () {
        () if !is_id => refusal("`cursor` is none that this service gave out: begin again with an empty one"),
        () if kinds.len() > 1 => refusal("a cursor walks through one type: ask at `/Users` or `/Groups`"),
        () if query.is_sorted() => refusal("`sortBy` does not go with `cursor`: leave one out"),
        () => Ok(()),
    }
}
