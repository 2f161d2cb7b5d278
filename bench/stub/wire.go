package main

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// rawCodec hands messages through as the bytes they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	message, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("cannot write %T", v)
	}
	return *message, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot read %T", v)
	}
	*message = append((*message)[:0], data...)
	return nil
}

func number(out []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), value)
}

func text(out []byte, field protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, field, protowire.BytesType), value)
}

func message(out []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, field, protowire.BytesType), value)
}

// each calls visit for every field of a message; plain numbers come in value, the rest in data.
func each(in []byte, visit func(field protowire.Number, value uint64, data []byte)) error {
	for len(in) > 0 {
		field, kind, length := protowire.ConsumeTag(in)
		if length < 0 {
			return protowire.ParseError(length)
		}
		in = in[length:]
		switch kind {
		case protowire.VarintType:
			value, size := protowire.ConsumeVarint(in)
			if size < 0 {
				return protowire.ParseError(size)
			}
			visit(field, value, nil)
			in = in[size:]
		case protowire.BytesType:
			data, size := protowire.ConsumeBytes(in)
			if size < 0 {
				return protowire.ParseError(size)
			}
			visit(field, 0, data)
			in = in[size:]
		default:
			size := protowire.ConsumeFieldValue(field, kind, in)
			if size < 0 {
				return protowire.ParseError(size)
			}
			in = in[size:]
		}
	}
	return nil
}
