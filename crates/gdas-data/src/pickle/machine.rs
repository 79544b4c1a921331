//! The stack machine that builds values: one method per instruction, over the operations in `stack`.

mod stack;

use std::collections::HashMap;
use std::io::BufRead;

use super::opcode::{Container, Decoder, Op};
use super::value::{Object, Value};
use super::{Hooks, Limits, PickleError, Plan};

/// Reader of one pickle.
pub struct Reader<'h, R> {
    decoder: Decoder<R>,
    hooks: &'h mut dyn Hooks,
    limits: Limits,
    plan: Option<Plan>,
    stack: Vec<Slot>,
    marks: Vec<usize>,
    memo: HashMap<u64, Memo>,
    /// Number of values memoized so far, kept or not: the index of the next MEMOIZE.
    memoized: u64,
    /// Estimated memory in bytes of the values built, without those taken over by the hooks.
    used: u64,
    /// Offset of the instruction in progress.
    start: u64,
}

struct Slot {
    item: Item,
    /// `Reader::used` when this value was begun.
    used: u64,
    /// Number of memo entries when this value was begun.
    memoized: usize,
}

enum Item {
    /// Complete and immutable.
    Done(Value),
    /// Still being filled. It is closed when it is put into another value or fetched from the memo, so that a value cannot
    /// contain itself.
    Open(Box<Open>),
}

struct Open {
    content: Content,
    /// Maximum nesting depth of the contents.
    depth: u32,
    /// Memo indices that receive the value when it is closed.
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
    /// Still open, at this position of the stack.
    Open(usize),
}

/// Estimated cost of one value on the stack or in a container, and of one memo entry.
const COST: u64 = 64;

impl<'h, R: BufRead> Reader<'h, R> {
    /// A reader for the pickle at the current position of `source`.
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

    /// Keeps only the memoized values that are used again according to `plan`, which must be of the same pickle.
    #[must_use]
    pub fn with_plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Reads the pickle and leaves the source directly after it.
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
                // In Python, POP may remove a mark.
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
                    return Err(self.malformed("a dictionary entry is incomplete"));
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
                        _ => Err(self.malformed("a state for something that is not an object")),
                    },
                    _ => Err(self.malformed("a state for something that is not an object, or contains itself")),
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
}
