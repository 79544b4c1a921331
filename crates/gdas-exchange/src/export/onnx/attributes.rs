//! ONNX encoding of node attributes and of the types of inputs and outputs.

use gdas_kernels::graph::Window;

use super::super::protobuf::Message;

/// Element types of tensors (`TensorProto.DataType`).
pub(super) const FLOAT: i64 = 1;
pub(super) const UINT8: i64 = 2;
pub(super) const INT8: i64 = 3;
pub(super) const INT32: i64 = 6;
pub(super) const INT64: i64 = 7;

pub(super) fn geometry(window: &Window) -> Vec<Message> {
    let [top, left] = window.padding;
    vec![ints("kernel_shape", &window.kernel), ints("strides", &window.stride), ints("pads", &[top, left, top, left])]
}

pub(super) fn int(name: &str, value: i64) -> Message {
    Message::new().text(1, name).int(3, value).int(20, 2)
}

pub(super) fn float(name: &str, value: f32) -> Message {
    Message::new().text(1, name).float(2, value).int(20, 1)
}

pub(super) fn ints(name: &str, values: &[usize]) -> Message {
    Message::new().text(1, name).each(values, |m, &v| m.int(8, v as i64)).int(20, 7)
}

/// A tensor of this element type with a free batch axis followed by the given sizes.
pub(super) fn value_info(name: &str, kind: i64, sizes: &[usize]) -> Message {
    let batch = Message::new().text(2, "batch");
    let sizes = sizes.iter().map(|&size| Message::new().int(1, size as i64));
    let shape = Message::new().each(std::iter::once(batch).chain(sizes), |m, dim| m.message(1, &dim));
    let tensor = Message::new().int(1, kind).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}
