//! Operations on the stack, the memo and the open containers.

use std::io::BufRead;
use std::sync::Arc;

use super::{COST, Content, Item, Memo, Open, Reader, Slot};
use crate::pickle::value::{Global, Nested, Object, Value};
use crate::pickle::{PickleError, known, opcode};

impl<R: BufRead> Reader<'_, R> {
    pub(super) fn malformed(&self, what: impl Into<String>) -> PickleError {
        opcode::malformed(self.start, what)
    }

    pub(super) fn charge(&mut self, bytes: u64) -> Result<(), PickleError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limits.memory {
            let what = format!("its values need more than {} bytes of memory", self.limits.memory);
            return Err(PickleError::Limit { offset: self.start, what });
        }
        Ok(())
    }

    /// The long argument of the instruction, counted towards the memory limit.
    pub(super) fn take_data(&mut self) -> Result<Arc<[u8]>, PickleError> {
        self.charge(self.decoder.data.len() as u64)?;
        Ok(self.decoder.data.as_slice().into())
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), PickleError> {
        self.push_item(Item::Done(value), COST)
    }

    pub(super) fn open(&mut self, content: Content) -> Result<(), PickleError> {
        self.push_item(Item::Open(Box::new(Open { content, depth: 0, memo: Vec::new() })), 2 * COST)
    }

    pub(super) fn push_item(&mut self, item: Item, cost: u64) -> Result<(), PickleError> {
        let used = self.used;
        self.charge(cost)?;
        self.stack.push(Slot { item, used, memoized: self.memo.len() });
        Ok(())
    }

    pub(super) fn tuple(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
        let depth = self.deeper(values.iter().map(Value::depth).max().unwrap_or(0))?;
        self.push(Value::Tuple(Nested::new(values, depth)))
    }

    pub(super) fn deeper(&self, depth: u32) -> Result<u32, PickleError> {
        if depth >= self.limits.depth {
            let what = format!("values nested more than {} deep", self.limits.depth);
            return Err(PickleError::Limit { offset: self.start, what });
        }
        Ok(depth + 1)
    }

    /// Completes an item; its memo entries get the value.
    pub(super) fn close(&mut self, item: Item) -> Result<Value, PickleError> {
        let open = match item {
            Item::Done(value) => return Ok(value),
            Item::Open(open) => open,
        };
        let depth = self.deeper(open.depth)?;
        let value = match open.content {
            Content::List(values) => Value::List(Nested::new(values, depth)),
            Content::Set(values) => Value::Set(Nested::new(values, depth)),
            Content::Dict(entries) => Value::Dict(Nested::new(entries, depth)),
            Content::Object(mut object) => {
                self.charge(known::cost(&object))?;
                object.depth = depth;
                let made = match known::construct(&object) {
                    Some(made) => made,
                    None => self.hooks.object(object),
                };
                let value = made.map_err(|what| self.malformed(what))?;
                if value.depth() > self.limits.depth {
                    self.deeper(value.depth())?;
                }
                value
            }
        };
        for index in open.memo {
            // The entry is absent if its last use has passed.
            self.memo.entry(index).and_modify(|entry| *entry = Memo::Done(value.clone()));
        }
        Ok(value)
    }

    pub(super) fn pop(&mut self) -> Result<Value, PickleError> {
        if self.marks.last().copied().unwrap_or(0) >= self.stack.len() {
            return Err(self.malformed("the stack is empty"));
        }
        match self.stack.pop() {
            Some(slot) => self.close(slot.item),
            None => Err(self.malformed("the stack is empty")),
        }
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        self.slots_since_mark()?.into_iter().map(|slot| self.close(slot.item)).collect()
    }

    pub(super) fn slots_since_mark(&mut self) -> Result<Vec<Slot>, PickleError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark.min(self.stack.len()))),
            None => Err(self.malformed("there is no mark on the stack")),
        }
    }

    /// Completes the item at this position of the stack and leaves it there.
    pub(super) fn close_at(&mut self, height: usize) -> Result<Value, PickleError> {
        let Some(slot) = self.stack.get_mut(height) else {
            return Err(self.malformed("the stack is empty"));
        };
        let item = std::mem::replace(&mut slot.item, Item::Done(Value::None));
        let value = self.close(item)?;
        self.stack[height].item = Item::Done(value.clone());
        Ok(value)
    }

    pub(super) fn append(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
        let depth = values.iter().map(Value::depth).max().unwrap_or(0);
        if let Some(Slot { item: Item::Open(open), .. }) = self.stack.last_mut() {
            open.depth = open.depth.max(depth);
            match &mut open.content {
                Content::List(items) | Content::Set(items) => items.extend(values),
                Content::Object(object) => object.items.extend(values),
                Content::Dict(_) => return Err(self.malformed("items appended to a dictionary")),
            }
            return Ok(());
        }
        Err(self.malformed("items appended to something that is not a list, or that contains itself"))
    }

    pub(super) fn set_items(&mut self, slots: Vec<Slot>) -> Result<(), PickleError> {
        if !slots.len().is_multiple_of(2) {
            return Err(self.malformed("a dictionary key without a value"));
        }
        // The memory counted between the starts of two neighbours belongs to the first of them.
        let ends: Vec<u64> = slots.iter().skip(1).map(|slot| slot.used).chain([self.used]).collect();
        let height = self.stack.len();
        let mut slots = slots.into_iter().zip(ends);
        while let (Some((key, _)), Some((slot, end))) = (slots.next(), slots.next()) {
            let key = self.close(key.item)?;
            let mut value = self.close(slot.item)?;
            if self.hooks.dict_item(height, &key, &mut value) && self.memo.len() <= slot.memoized {
                self.used = self.used.saturating_sub(end.saturating_sub(slot.used));
                self.charge(COST)?;
            }
            let depth = key.depth().max(value.depth());
            let Some(Slot { item: Item::Open(open), .. }) = self.stack.last_mut() else {
                return Err(
                    self.malformed("entries stored in something that is not a dictionary, or that contains itself")
                );
            };
            open.depth = open.depth.max(depth);
            match &mut open.content {
                Content::Dict(entries) => entries.push((key, value)),
                Content::Object(object) => object.entries.push((key, value)),
                _ => return Err(self.malformed("entries stored in a list")),
            }
        }
        Ok(())
    }

    pub(super) fn put(&mut self, index: u64) -> Result<(), PickleError> {
        self.memoized += 1;
        if self.plan.as_ref().is_some_and(|plan| plan.uses(index) == 0) {
            return Ok(());
        }
        self.charge(COST)?;
        let height = self.stack.len().wrapping_sub(1);
        let entry = match self.stack.last_mut().map(|slot| &mut slot.item) {
            Some(Item::Done(value)) => Memo::Done(value.clone()),
            Some(Item::Open(open)) => {
                open.memo.push(index);
                Memo::Open(height)
            }
            None => return Err(self.malformed("nothing on the stack to memoize")),
        };
        if self.memo.insert(index, entry).is_some() {
            return Err(self.malformed(format!("two values are memoized under {index}")));
        }
        Ok(())
    }

    pub(super) fn get(&mut self, index: u64) -> Result<(), PickleError> {
        let value = match self.memo.get(&index) {
            Some(Memo::Done(value)) => value.clone(),
            Some(&Memo::Open(height)) => self.close_at(height)?,
            None => return Err(self.malformed(format!("memo entry {index} is used before it is stored"))),
        };
        if self.plan.as_mut().is_some_and(|plan| plan.was_last_use(index)) {
            self.memo.remove(&index);
        }
        self.push(value)
    }

    pub(super) fn global_in_text(&mut self) -> Result<Arc<Global>, PickleError> {
        let text = self.decoder.text().to_owned();
        let (module, name) = text.split_once('\n').unwrap_or((&text, ""));
        self.global(module, name)
    }

    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<Arc<Global>, PickleError> {
        if !known::is_known(module, name) && !self.hooks.allow(module, name) {
            let shorten = |text: &str| text.chars().take(80).flat_map(char::escape_default).collect();
            return Err(PickleError::Global { module: shorten(module), name: shorten(name), offset: self.start });
        }
        self.charge((module.len() + name.len()) as u64)?;
        Ok(Arc::new(Global { module: module.into(), name: name.into() }))
    }

    /// Records a call as an object; nothing is executed.
    pub(super) fn call(&mut self, class: Value, mut args: Vec<Value>) -> Result<(), PickleError> {
        let Value::Global(mut class) = class else {
            return Err(self.malformed(format!("{} is called as if it were a class", class.kind())));
        };
        if known::is_reconstructor(&class) {
            // copyreg._reconstructor(class, base, state): how protocols 0 and 1 make an object.
            if args.len() != 3 {
                return Err(self.malformed("an object not made from class, base and state"));
            }
            let Value::Global(inner) = args.remove(0) else {
                return Err(self.malformed("an object without a class"));
            };
            class = inner;
            if args[1].is_none() {
                args.clear();
            }
        }
        self.object(class, args)
    }

    pub(super) fn object(&mut self, class: Arc<Global>, args: Vec<Value>) -> Result<(), PickleError> {
        self.charge(COST * args.len() as u64)?;
        let depth = args.iter().map(Value::depth).max().unwrap_or(0);
        self.open(Content::Object(Object::new(class, args)))?;
        if let Some(Slot { item: Item::Open(open), .. }) = self.stack.last_mut() {
            open.depth = depth;
        }
        Ok(())
    }

    pub(super) fn persistent(&mut self, id: Value) -> Result<(), PickleError> {
        let value = self.hooks.persistent(id).map_err(|what| self.malformed(what))?;
        if value.depth() > self.limits.depth {
            self.deeper(value.depth())?;
        }
        self.push(value)
    }
}
