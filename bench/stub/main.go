// Command stub is an lnd that pays everything at once: the far end of bench/pipeline.py.
//
// It speaks the part of lnrpc and routerrpc that streamer calls, with TLS and a macaroon, and
// knows no channels, no graph and no delay, so that only the client's side is measured. Messages
// are read and written by hand (wire.go): the stub takes as little of the machine as it can.
//
// It writes tls.cert and admin.macaroon into the folder given as its argument, prints one JSON
// line when it serves, and ends when its standard input does.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: stub FOLDER")
	}
	folder := os.Args[1]
	certificate, err := makeCertificate(filepath.Join(folder, "tls.cert"))
	if err != nil {
		log.Fatal(err)
	}
	macaroon := make([]byte, 120) // about as long as one of lnd's
	rand.Read(macaroon)
	macaroonPath := filepath.Join(folder, "admin.macaroon")
	if err := os.WriteFile(macaroonPath, macaroon, 0o600); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	node := newNode(hex.EncodeToString(macaroon))
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})),
		grpc.ForceServerCodec(rawCodec{}),
		grpc.UnknownServiceHandler(node.answer),
	)
	line, _ := json.Marshal(map[string]string{
		"rpcserver":    listener.Addr().String(),
		"tlscertpath":  filepath.Join(folder, "tls.cert"),
		"macaroonpath": macaroonPath,
		"pubkey":       pubkey,
	})
	fmt.Println(string(line))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// makeCertificate makes what lnd makes: self-signed, ECDSA P-256.
func makeCertificate(path string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{Organization: []string{"stub"}, CommonName: "localhost"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.ParseIP("127.0.0.1")},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(path, block, 0o600)
}
