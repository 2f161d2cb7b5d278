// Command client talks to an lnd, real or simulated, with lnd's own Go packages: lnrpc and macaroons.
//
//	client RPCSERVER TLS_CERT MACAROON RECEIVER_RPCSERVER RECEIVER_TLS_CERT RECEIVER_MACAROON
//
// It makes an invoice at the receiver, pays it and a keysend, follows both, and prints what it saw as
// one JSON object. Any error ends it.
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
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnrpc/verrpc"
	"github.com/lightningnetwork/lnd/macaroons"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"gopkg.in/macaroon.v2"
)

const (
	callTimeout    = 30 * time.Second
	keysendRecord  = 5482373484
	ownRecord      = 70001
	invoiceSat     = 7
	keysendSat     = 3
	feeLimitMsat   = 5000
	paymentSeconds = 30
)

func main() {
	if len(os.Args) != 7 {
		log.Fatal("usage: client RPCSERVER TLS_CERT MACAROON RECEIVER_RPCSERVER RECEIVER_TLS_CERT RECEIVER_MACAROON")
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	payer, receiver := connect(os.Args[1:4]), connect(os.Args[4:7])
	seen := map[string]any{}
	look(ctx, payer, receiver, seen)
	payInvoice(ctx, payer, receiver, seen)
	payKeysend(ctx, payer, receiver, seen)
	bakeLess(ctx, payer, seen)
	line, err := json.Marshal(seen)
	check(err)
	fmt.Println(string(line))
}

func connect(words []string) *grpc.ClientConn {
	binary, err := os.ReadFile(words[2])
	check(err)
	return connectWith(words[0], words[1], binary)
}

func connectWith(rpcserver, certificate string, binary []byte) *grpc.ClientConn {
	secrets, err := credentials.NewClientTLSFromFile(certificate, "")
	check(err)
	credential := &macaroon.Macaroon{}
	check(credential.UnmarshalBinary(binary))
	perCall, err := macaroons.NewMacaroonCredential(credential)
	check(err)
	channel, err := grpc.NewClient(rpcserver, grpc.WithTransportCredentials(secrets), grpc.WithPerRPCCredentials(perCall))
	check(err)
	return channel
}

func look(ctx context.Context, payer, receiver *grpc.ClientConn, seen map[string]any) {
	state, err := lnrpc.NewStateClient(payer).GetState(ctx, &lnrpc.GetStateRequest{})
	check(err)
	seen["state"] = state.State.String()
	version, err := verrpc.NewVersionerClient(payer).GetVersion(ctx, &verrpc.VersionRequest{})
	check(err)
	seen["minor"] = version.AppMinor
	node := lnrpc.NewLightningClient(payer)
	info, err := node.GetInfo(ctx, &lnrpc.GetInfoRequest{})
	check(err)
	seen["active_channels"] = info.NumActiveChannels
	channels, err := node.ListChannels(ctx, &lnrpc.ListChannelsRequest{ActiveOnly: true})
	check(err)
	seen["channels"] = len(channels.Channels)
	balance, err := node.ChannelBalance(ctx, &lnrpc.ChannelBalanceRequest{})
	check(err)
	seen["has_funds"] = balance.LocalBalance.Sat > 0
	other, err := lnrpc.NewLightningClient(receiver).GetInfo(ctx, &lnrpc.GetInfoRequest{})
	check(err)
	known, err := node.GetNodeInfo(ctx, &lnrpc.NodeInfoRequest{PubKey: other.IdentityPubkey})
	check(err)
	_, seen["keysend"] = known.Node.Features[55]
	_, err = lnrpc.NewWalletUnlockerClient(payer).GenSeed(ctx, &lnrpc.GenSeedRequest{})
	seen["absent"] = status.Code(err).String()
}

func payInvoice(ctx context.Context, payer, receiver *grpc.ClientConn, seen map[string]any) {
	node := lnrpc.NewLightningClient(receiver)
	made, err := node.AddInvoice(ctx, &lnrpc.Invoice{Value: invoiceSat, Memo: "from Go"})
	check(err)
	read, err := lnrpc.NewLightningClient(payer).DecodePayReq(ctx, &lnrpc.PayReqString{PayReq: made.PaymentRequest})
	check(err)
	seen["memo"], seen["num_satoshis"] = read.Description, read.NumSatoshis
	request := &routerrpc.SendPaymentRequest{PaymentRequest: made.PaymentRequest, TimeoutSeconds: paymentSeconds, FeeLimitMsat: feeLimitMsat}
	seen["invoice"] = pay(ctx, payer, request)
	found, err := node.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: made.RHash})
	check(err)
	seen["invoice_state"] = found.State.String()
	_, err = invoicesrpc.NewInvoicesClient(receiver).CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: made.RHash})
	seen["cancel"] = status.Convert(err).Message()
}

func payKeysend(ctx context.Context, payer, receiver *grpc.ClientConn, seen map[string]any) {
	other, err := lnrpc.NewLightningClient(receiver).GetInfo(ctx, &lnrpc.GetInfoRequest{})
	check(err)
	destination, err := hex.DecodeString(other.IdentityPubkey)
	check(err)
	preimage := make([]byte, 32)
	_, _ = rand.Read(preimage)
	hash := sha256.Sum256(preimage)
	request := &routerrpc.SendPaymentRequest{
		Dest: destination, Amt: keysendSat, PaymentHash: hash[:], TimeoutSeconds: paymentSeconds, FeeLimitMsat: feeLimitMsat,
		DestCustomRecords: map[uint64][]byte{keysendRecord: preimage, ownRecord: []byte("Go")},
	}
	seen["keysend_updates"] = pay(ctx, payer, request)
	_, err = follow(routerrpc.NewRouterClient(payer).SendPaymentV2(ctx, request))
	seen["again"] = status.Code(err).String()
	updates, err := follow(routerrpc.NewRouterClient(payer).TrackPaymentV2(ctx, &routerrpc.TrackPaymentRequest{PaymentHash: hash[:]}))
	check(err)
	seen["tracked"] = updates
	list, err := lnrpc.NewLightningClient(payer).ListPayments(ctx, &lnrpc.ListPaymentsRequest{Reversed: true, MaxPayments: 1})
	check(err)
	seen["listed"] = list.Payments[0].PaymentHash == hex.EncodeToString(hash[:])
	invoice, err := lnrpc.NewLightningClient(receiver).LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})
	check(err)
	seen["record"] = string(invoice.Htlcs[0].CustomRecords[ownRecord])
}

func bakeLess(ctx context.Context, payer *grpc.ClientConn, seen map[string]any) {
	baked, err := lnrpc.NewLightningClient(payer).BakeMacaroon(ctx, &lnrpc.BakeMacaroonRequest{
		Permissions: []*lnrpc.MacaroonPermission{{Entity: "info", Action: "read"}},
	})
	check(err)
	binary, err := hex.DecodeString(baked.Macaroon)
	check(err)
	node := lnrpc.NewLightningClient(connectWith(os.Args[1], os.Args[2], binary))
	_, err = node.GetInfo(ctx, &lnrpc.GetInfoRequest{})
	check(err)
	_, err = node.ListChannels(ctx, &lnrpc.ListChannelsRequest{})
	seen["denied"] = status.Convert(err).Message()
}

func pay(ctx context.Context, payer *grpc.ClientConn, request *routerrpc.SendPaymentRequest) []string {
	updates, err := follow(routerrpc.NewRouterClient(payer).SendPaymentV2(ctx, request))
	check(err)
	return updates
}

type updates interface {
	Recv() (*lnrpc.Payment, error)
}

// follow reads a payment's updates to their end and gives their states.
func follow[Stream updates](stream Stream, err error) ([]string, error) {
	states := []string{}
	for err == nil {
		var payment *lnrpc.Payment
		if payment, err = stream.Recv(); err == nil {
			states = append(states, payment.Status.String())
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return states, err
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
