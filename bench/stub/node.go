package main

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	pubkey        = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	peer          = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"
	keysendRecord = 5482373484

	inFlight  = 1
	succeeded = 2
)

type node struct {
	macaroon string
	index    atomic.Uint64
	payments sync.Map // payment hash → its last Payment message
}

func newNode(macaroon string) *node { return &node{macaroon: macaroon} }

// answer serves every method: one request, then one message or two.
func (n *node) answer(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if method != "/lnrpc.State/GetState" {
		if err := n.allowed(stream); err != nil {
			return err
		}
	}
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	switch method {
	case "/routerrpc.Router/SendPaymentV2":
		return n.send(request, stream)
	case "/routerrpc.Router/TrackPaymentV2":
		return n.track(request, stream)
	case "/lnrpc.State/GetState":
		return reply(stream, number(nil, 1, 4))
	case "/lnrpc.Lightning/GetInfo":
		return reply(stream, info())
	case "/lnrpc.Lightning/ListChannels":
		return reply(stream, channels())
	case "/lnrpc.Lightning/GetNodeInfo":
		return reply(stream, nodeInfo())
	case "/lnrpc.Lightning/PendingChannels", "/lnrpc.Lightning/ListPayments":
		return reply(stream, nil)
	}
	return status.Errorf(codes.Unimplemented, "unknown method %s", method)
}

func (n *node) allowed(stream grpc.ServerStream) error {
	head, _ := metadata.FromIncomingContext(stream.Context())
	given := head.Get("macaroon")
	if len(given) != 1 {
		return status.Errorf(codes.Unknown, "expected 1 macaroon, got %d", len(given))
	}
	if given[0] != n.macaroon {
		return status.Error(codes.Unknown, "verification failed: signature mismatch after caveat verification")
	}
	return nil
}

func (n *node) send(request []byte, stream grpc.ServerStream) error {
	var hash, preimage []byte
	var amount uint64
	quiet := false
	err := each(request, func(field protowire.Number, value uint64, data []byte) {
		switch field {
		case 3:
			hash = data
		case 11:
			preimage = record(data, preimage)
		case 12:
			amount = value
		case 18:
			quiet = value != 0
		}
	})
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	if amount == 0 {
		return status.Error(codes.Unknown, "amount must be specified")
	}
	if sha256.Sum256(preimage) != [32]byte(hash) {
		return status.Error(codes.Unknown, "preimage does not match the hash")
	}
	index := n.index.Add(1)
	now := uint64(time.Now().UnixNano())
	done := payment(hash, preimage, amount, succeeded, index, now)
	if _, there := n.payments.LoadOrStore(string(hash), done); there {
		return status.Error(codes.AlreadyExists, "invoice is already paid")
	}
	if !quiet {
		if err := reply(stream, payment(hash, nil, amount, inFlight, index, now)); err != nil {
			return err
		}
	}
	return reply(stream, done)
}

func (n *node) track(request []byte, stream grpc.ServerStream) error {
	var hash []byte
	err := each(request, func(field protowire.Number, _ uint64, data []byte) {
		if field == 1 {
			hash = data
		}
	})
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	found, there := n.payments.Load(string(hash))
	if !there {
		return status.Error(codes.NotFound, "payment isn't initiated")
	}
	return reply(stream, found.([]byte))
}

// record gives the value of a map entry of custom records if it is the preimage's.
func record(entry, otherwise []byte) []byte {
	var kind uint64
	var content []byte
	_ = each(entry, func(field protowire.Number, value uint64, data []byte) {
		if field == 1 {
			kind = value
		} else {
			content = data
		}
	})
	if kind == keysendRecord {
		return content
	}
	return otherwise
}

func payment(hash, preimage []byte, amount, state, index, now uint64) []byte {
	out := make([]byte, 0, 200)
	out = text(out, 1, hex.EncodeToString(hash))
	if preimage != nil {
		out = text(out, 6, hex.EncodeToString(preimage))
	}
	out = number(out, 8, amount)
	out = number(out, 10, state)
	out = number(out, 13, now)
	return number(out, 15, index)
}

func info() []byte {
	out := text(nil, 1, pubkey)
	out = text(out, 2, "stub")
	out = number(out, 4, 1)
	out = number(out, 6, 1000)
	out = number(out, 9, 1)
	out = number(out, 13, uint64(time.Now().Unix()))
	out = text(out, 14, "0.21.2-beta commit=stub")
	chain := text(text(nil, 1, "bitcoin"), 2, "regtest")
	return message(out, 16, chain)
}

func channels() []byte {
	channel := number(nil, 1, 1)
	channel = text(channel, 2, peer)
	channel = text(channel, 3, "00:0")
	channel = number(channel, 4, 1_099_511_627_776)
	channel = number(channel, 5, 1_000_000_000_000)
	channel = number(channel, 6, 900_000_000_000)
	channel = number(channel, 7, 100_000_000_000)
	return message(nil, 11, channel)
}

func nodeInfo() []byte {
	feature := number(text(nil, 2, "keysend"), 4, 1)
	features := message(number(nil, 1, 55), 2, feature)
	return message(nil, 1, message(text(nil, 2, peer), 6, features))
}

func reply(stream grpc.ServerStream, body []byte) error { return stream.SendMsg(&body) }
