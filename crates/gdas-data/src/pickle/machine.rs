//! The stack machine that builds values.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use super::opcode::{self, Container, Decoder, Op};
use super::value::{Global, Nested, Object, Value};
use super::{Hooks, Limits, PickleError, Plan, known};

/// Reads one pickle.
pub struct Reader<'h, R> {
    decoder: Decoder<R>,
    hooks: &'h mut dyn Hooks,
    limits: Limits,
    plan: Option<Plan>,
    stack: Vec<Slot>,
    marks: Vec<usize>,
    memo: HashMap<u64, Memo>,
    /// Values remembered so far, kept or not: the index of the next MEMOIZE.
    memoized: u64,
    /// Estimated bytes built and not yet taken over by the hooks.
    used: u64,
    /// Offset of the instruction in progress.
    start: u64,
}

struct Slot {
    item: Item,
    /// `used` and the number of memo entries when this value was begun.
    used: u64,
    remembered: usize,
}

enum Item {
    /// Complete; never changes again.
    Done(Value),
    /// Still being filled. It is closed as soon as it goes into another value or is fetched from the
    /// memo, so a value can never come to contain itself.
    Open(Box<Open>),
}

struct Open {
    content: Content,
    /// Deepest nesting among the contents.
    depth: u32,
    /// Memo indices that wait for it.
    memo: Vec<u64>,
}

enum Content {
    List(Vec<Value>),
    Set(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Object(Object),
}

enum Memo {
    Done(Value),
    /// On the stack at this height, still open.
    Open(usize),
}

/// Estimated cost of one value on the stack or in a container, and of one memo entry.
const COST: u64 = 64;

impl<'h, R: BufRead> Reader<'h, R> {
    /// A reader for the pickle that starts where `source` stands.
    pub fn new(source: R, limits: Limits, hooks: &'h mut dyn Hooks) -> Self {
        Self {
            decoder: Decoder::new(source),
            hooks,
            limits,
            plan: None,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            memoized: 0,
            used: 0,
            start: 0,
        }
    }

    /// Keeps only those remembered values that the plan of the same pickle says are used again.
    #[must_use]
    pub fn with_plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Reads up to the end of the pickle; the source is left right behind it.
    ///
    /// # Errors
    /// See [`super::from_slice`].
    pub fn read(mut self) -> Result<Value, PickleError> {
        loop {
            self.start = self.decoder.offset;
            self.decoder.max_data = self.limits.memory.saturating_sub(self.used);
            let op = self.decoder.next()?;
            if op == Op::Stop {
                return self.pop();
            }
            self.step(op)?;
        }
    }

    fn step(&mut self, op: Op) -> Result<(), PickleError> {
        match op {
            Op::Nothing | Op::Stop => Ok(()),
            Op::Mark => {
                self.charge(8)?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            Op::Pop => {
                // Python lets POP remove a mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                self.pop().map(drop)
            }
            Op::PopMark => self.pop_mark().map(drop),
            Op::Dup => {
                let top = self.stack.len();
                let value = self.close_at(top.wrapping_sub(1))?;
                self.push(value)
            }
            Op::None => self.push(Value::None),
            Op::Bool(v) => self.push(Value::Bool(v)),
            Op::Int(v) => self.push(Value::Int(v)),
            Op::Float(v) => self.push(Value::Float(v)),
            Op::BigInt => {
                let value = Value::BigInt(self.take_data()?);
                self.push(value)
            }
            Op::Bytes => {
                let value = Value::Bytes(self.take_data()?);
                self.push(value)
            }
            Op::Str => {
                self.charge(self.decoder.data.len() as u64)?;
                let value = Value::Str(self.decoder.text().into());
                self.push(value)
            }
            Op::Empty(Container::Tuple) => self.tuple(Vec::new()),
            Op::Empty(Container::List) => self.open(Content::List(Vec::new())),
            Op::Empty(Container::Set) => self.open(Content::Set(Vec::new())),
            Op::Empty(Container::Dict) => self.open(Content::Dict(Vec::new())),
            Op::FromMark(container) => {
                if container == Container::Dict {
                    let slots = self.slots_since_mark()?;
                    self.open(Content::Dict(Vec::new()))?;
                    return self.set_items(slots);
                }
                let values = self.pop_mark()?;
                match container {
                    Container::Tuple => return self.tuple(values),
                    Container::Set => self.open(Content::Set(Vec::new()))?,
                    _ => self.open(Content::List(Vec::new()))?,
                }
                self.append(values)
            }
            Op::Tuple(n) => {
                let mut values = Vec::with_capacity(n);
                for _ in 0..n {
                    values.push(self.pop()?);
                }
                values.reverse();
                self.tuple(values)
            }
            Op::Append => {
                let value = self.pop()?;
                self.append(vec![value])
            }
            Op::Appends | Op::AddItems => {
                let values = self.pop_mark()?;
                self.append(values)
            }
            Op::SetItem => {
                let floor = self.marks.last().copied().unwrap_or(0);
                if self.stack.len() < floor + 3 {
                    return Err(self.malformed("an entry is stored where there is none"));
                }
                let slots = self.stack.split_off(self.stack.len() - 2);
                self.set_items(slots)
            }
            Op::SetItems => {
                let slots = self.slots_since_mark()?;
                self.set_items(slots)
            }
            Op::Get(index) => self.get(index),
            Op::Put(index) => self.put(index),
            Op::Memoize => self.put(self.memoized),
            Op::Global => {
                let class = self.global_in_text()?;
                self.push(Value::Global(class))
            }
            Op::StackGlobal => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Str(module), Value::Str(name)) = (module, name) else {
                    return Err(self.malformed("a class whose name is not text"));
                };
                let class = self.global(&module, &name)?;
                self.push(Value::Global(class))
            }
            Op::Inst => {
                let class = self.global_in_text()?;
                let args = self.pop_mark()?;
                self.object(class, args)
            }
            Op::Obj => {
                let mut args = self.pop_mark()?;
                if args.is_empty() {
                    return Err(self.malformed("an object without a class"));
                }
                let class = args.remove(0);
                self.call(class, args)
            }
            Op::Reduce | Op::NewObj => {
                let args = self.pop()?;
                let class = self.pop()?;
                let Value::Tuple(args) = args else {
                    return Err(self.malformed(format!("arguments that are {}, not a tuple", args.kind())));
                };
                self.call(class, args.to_vec())
            }
            Op::NewObjEx => {
                let (keywords, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                let Value::Tuple(args) = args else {
                    return Err(self.malformed(format!("arguments that are {}, not a tuple", args.kind())));
                };
                let mut args = args.to_vec();
                if keywords.entries().is_none_or(|entries| !entries.is_empty()) {
                    args.push(keywords);
                }
                self.call(class, args)
            }
            Op::Build => {
                let state = self.pop()?;
                let depth = state.depth();
                match self.stack.last_mut().map(|slot| &mut slot.item) {
                    Some(Item::Open(open)) => match &mut open.content {
                        Content::Object(object) if object.state.is_none() => {
                            object.state = Some(state);
                            open.depth = open.depth.max(depth);
                            Ok(())
                        }
                        _ => Err(self.malformed("a state for something that has none")),
                    },
                    _ => Err(self.malformed("a state for something that has none, or contains itself")),
                }
            }
            Op::PersistentText => {
                self.charge(self.decoder.data.len() as u64)?;
                let id = Value::Str(self.decoder.text().into());
                self.persistent(id)
            }
            Op::Persistent => {
                let id = self.pop()?;
                self.persistent(id)
            }
        }
    }

    fn malformed(&self, what: impl Into<String>) -> PickleError {
        opcode::malformed(self.start, what)
    }

    fn charge(&mut self, bytes: u64) -> Result<(), PickleError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limits.memory {
            let what = format!("its values need more than {} bytes of memory", self.limits.memory);
            return Err(PickleError::Limit { offset: self.start, what });
        }
        Ok(())
    }

    /// The long argument of the instruction, charged and moved out.
    fn take_data(&mut self) -> Result<Arc<[u8]>, PickleError> {
        self.charge(self.decoder.data.len() as u64)?;
        Ok(self.decoder.data.as_slice().into())
    }

    fn push(&mut self, value: Value) -> Result<(), PickleError> {
        self.push_item(Item::Done(value), COST)
    }

    fn open(&mut self, content: Content) -> Result<(), PickleError> {
        self.push_item(Item::Open(Box::new(Open { content, depth: 0, memo: Vec::new() })), 2 * COST)
    }

    fn push_item(&mut self, item: Item, cost: u64) -> Result<(), PickleError> {
        let used = self.used;
        self.charge(cost)?;
        self.stack.push(Slot { item, used, remembered: self.memo.len() });
        Ok(())
    }

    fn tuple(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
        let depth = self.deeper(values.iter().map(Value::depth).max().unwrap_or(0))?;
        self.push(Value::Tuple(Nested::new(values, depth)))
    }

    fn deeper(&self, depth: u32) -> Result<u32, PickleError> {
        if depth >= self.limits.depth {
            let what = format!("values nested more than {} deep", self.limits.depth);
            return Err(PickleError::Limit { offset: self.start, what });
        }
        Ok(depth + 1)
    }

    /// Completes an item; its memo entries get the value.
    fn close(&mut self, item: Item) -> Result<Value, PickleError> {
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
            // Not there any more if its last use has passed.
            self.memo.entry(index).and_modify(|entry| *entry = Memo::Done(value.clone()));
        }
        Ok(value)
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        if self.marks.last().copied().unwrap_or(0) >= self.stack.len() {
            return Err(self.malformed("a value is needed where there is none"));
        }
        match self.stack.pop() {
            Some(slot) => self.close(slot.item),
            None => Err(self.malformed("a value is needed where there is none")),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        self.slots_since_mark()?.into_iter().map(|slot| self.close(slot.item)).collect()
    }

    fn slots_since_mark(&mut self) -> Result<Vec<Slot>, PickleError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark.min(self.stack.len()))),
            None => Err(self.malformed("the end of a group that never began")),
        }
    }

    /// Completes the item at this height and leaves it there.
    fn close_at(&mut self, height: usize) -> Result<Value, PickleError> {
        let Some(slot) = self.stack.get_mut(height) else {
            return Err(self.malformed("a value is needed where there is none"));
        };
        let item = std::mem::replace(&mut slot.item, Item::Done(Value::None));
        let value = self.close(item)?;
        self.stack[height].item = Item::Done(value.clone());
        Ok(value)
    }

    fn append(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
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
        Err(self.malformed("items appended to something that is no list, or that contains itself"))
    }

    fn set_items(&mut self, slots: Vec<Slot>) -> Result<(), PickleError> {
        if !slots.len().is_multiple_of(2) {
            return Err(self.malformed("a dictionary key without a value"));
        }
        // What lies between the beginnings of two neighbours was built for the first of them.
        let ends: Vec<u64> = slots.iter().skip(1).map(|slot| slot.used).chain([self.used]).collect();
        let height = self.stack.len();
        let mut slots = slots.into_iter().zip(ends);
        while let (Some((key, _)), Some((slot, end))) = (slots.next(), slots.next()) {
            let key = self.close(key.item)?;
            let mut value = self.close(slot.item)?;
            if self.hooks.dict_item(height, &key, &mut value) && self.memo.len() <= slot.remembered {
                self.used = self.used.saturating_sub(end.saturating_sub(slot.used));
                self.charge(COST)?;
            }
            let depth = key.depth().max(value.depth());
            let Some(Slot { item: Item::Open(open), .. }) = self.stack.last_mut() else {
                return Err(
                    self.malformed("entries stored in something that is no dictionary, or that contains itself")
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

    fn put(&mut self, index: u64) -> Result<(), PickleError> {
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
            None => return Err(self.malformed("nothing there to remember")),
        };
        if self.memo.insert(index, entry).is_some() {
            return Err(self.malformed(format!("two values are remembered under {index}")));
        }
        Ok(())
    }

    fn get(&mut self, index: u64) -> Result<(), PickleError> {
        let value = match self.memo.get(&index) {
            Some(Memo::Done(value)) => value.clone(),
            Some(&Memo::Open(height)) => self.close_at(height)?,
            None => return Err(self.malformed(format!("remembered value {index} is used before it was stored"))),
        };
        if self.plan.as_mut().is_some_and(|plan| plan.was_last_use(index)) {
            self.memo.remove(&index);
        }
        self.push(value)
    }

    fn global_in_text(&mut self) -> Result<Arc<Global>, PickleError> {
        let text = self.decoder.text().to_owned();
        let (module, name) = text.split_once('\n').unwrap_or((&text, ""));
        self.global(module, name)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<Arc<Global>, PickleError> {
        if !known::is_known(module, name) && !self.hooks.allow(module, name) {
            let shorten = |text: &str| text.chars().take(80).flat_map(char::escape_default).collect();
            return Err(PickleError::Global { module: shorten(module), name: shorten(name), offset: self.start });
        }
        self.charge((module.len() + name.len()) as u64)?;
        Ok(Arc::new(Global { module: module.into(), name: name.into() }))
    }

    /// Notes what was called; nothing is called.
    fn call(&mut self, class: Value, mut args: Vec<Value>) -> Result<(), PickleError> {
        let Value::Global(mut class) = class else {
            return Err(self.malformed(format!("{} is called as if it were a class", class.kind())));
        };
        if known::is_reconstructor(&class) {
            // copyreg._reconstructor(class, base, state): how protocols 0 and 1 make an object.
            if args.len() != 3 {
                return Err(self.malformed("an object made from other than class, base and state"));
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

    fn object(&mut self, class: Arc<Global>, args: Vec<Value>) -> Result<(), PickleError> {
        self.charge(COST * args.len() as u64)?;
        let depth = args.iter().map(Value::depth).max().unwrap_or(0);
        self.open(Content::Object(Object::new(class, args)))?;
        if let Some(Slot { item: Item::Open(open), .. }) = self.stack.last_mut() {
            open.depth = depth;
        }
        Ok(())
    }

    fn persistent(&mut self, id: Value) -> Result<(), PickleError> {
        let value = self.hooks.persistent(id).map_err(|what| self.malformed(what))?;
        if value.depth() > self.limits.depth {
            self.deeper(value.depth())?;
        }
        self.push(value)
    }
}
