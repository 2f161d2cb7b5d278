// Command load pays keysends at an lnd, or at what speaks like one, as fast as it answers.
//
// Each worker sends one SendPaymentV2 after the other with a fresh preimage and waits for its end.
// Messages are written by hand, so that the client takes as little of the machine as it can.
//
//	load RPCSERVER TLS_CERT MACAROON DESTINATION WORKERS CONNECTIONS SECONDS
//
// It prints one JSON line: how many were paid, how many not, and in how many seconds.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	method        = "/routerrpc.Router/SendPaymentV2"
	keysendRecord = 5482373484
	amountMsat    = 1000
	feeLimitMsat  = 5000
	succeeded     = 2
)

type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append((*v.(*[]byte))[:0], data...)
	return nil
}

func main() {
	if len(os.Args) != 8 {
		log.Fatal("usage: load RPCSERVER TLS_CERT MACAROON DESTINATION WORKERS CONNECTIONS SECONDS")
	}
	secrets, err := credentials.NewClientTLSFromFile(os.Args[2], "")
	check(err)
	macaroon, err := os.ReadFile(os.Args[3])
	check(err)
	destination, err := hex.DecodeString(os.Args[4])
	check(err)
	workers, connections, seconds := number(5), number(6), number(7)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "macaroon", hex.EncodeToString(macaroon))
	var paid, unpaid atomic.Int64
	var group sync.WaitGroup
	begin := time.Now()
	end := begin.Add(time.Duration(seconds) * time.Second)
	for range connections {
		channel, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(secrets), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
		check(err)
		for range workers / connections {
			group.Add(1)
			go func() {
				defer group.Done()
				for time.Now().Before(end) {
					if err := pay(ctx, channel, destination); err != nil {
						unpaid.Add(1)
						fmt.Fprintln(os.Stderr, err)
					} else {
						paid.Add(1)
					}
				}
			}()
		}
	}
	group.Wait()
	line, _ := json.Marshal(map[string]any{"paid": paid.Load(), "unpaid": unpaid.Load(), "seconds": time.Since(begin).Seconds()})
	fmt.Println(string(line))
}

func pay(ctx context.Context, channel *grpc.ClientConn, destination []byte) error {
	stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	request := keysend(destination)
	if err := stream.SendMsg(&request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	status := uint64(0)
	for {
		var update []byte
		if err := stream.RecvMsg(&update); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		status = statusOf(update)
	}
	if status != succeeded {
		return fmt.Errorf("the payment ended with status %d", status)
	}
	return nil
}

func keysend(destination []byte) []byte {
	preimage := make([]byte, 32)
	rand.Read(preimage)
	hash := sha256.Sum256(preimage)
	record := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), keysendRecord)
	record = bytesField(record, 2, preimage)
	out := bytesField(nil, 1, destination)
	out = bytesField(out, 3, hash[:])
	out = numberField(out, 6, 30)
	out = bytesField(out, 11, record)
	out = numberField(out, 12, amountMsat)
	out = numberField(out, 13, feeLimitMsat)
	out = numberField(out, 17, 1)
	return numberField(out, 18, 1)
}

func statusOf(payment []byte) uint64 {
	for len(payment) > 0 {
		field, kind, length := protowire.ConsumeTag(payment)
		if length < 0 {
			return 0
		}
		payment = payment[length:]
		if field == 10 && kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(payment)
			return value
		}
		size := protowire.ConsumeFieldValue(field, kind, payment)
		if size < 0 {
			return 0
		}
		payment = payment[size:]
	}
	return 0
}

func bytesField(out []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, field, protowire.BytesType), value)
}

func numberField(out []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), value)
}

func number(position int) int {
	value, err := strconv.Atoi(os.Args[position])
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
