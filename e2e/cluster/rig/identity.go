package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const server = "https://10.200.0.1:6443"

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: callgate, cluster: {server: %q, certificate-authority-data: %q}}]
users: [{name: %q, user: {token: %q}}]
contexts: [{name: callgate, context: {cluster: callgate, user: %[3]q}}]
current-context: callgate
`

// identity fills dir with all by which the parts of one cluster know each other:
// an authority (ca.crt, ca.key), the API server's certificate (apiserver.*), the key that
// signs the tokens of service accounts (sa.key), and for every "NAME=USER[,GROUP]" a
// line in tokens.csv and NAME.kubeconfig.
func identity(dir string, users []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	authority, err := certify(dir, nil, x509.Certificate{
		Subject:  pkix.Name{CommonName: "callgate-cluster"},
		IsCA:     true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, "ca")
	if err != nil {
		return err
	}
	_, err = certify(dir, authority, x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"},
		DNSNames: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 200, 0, 1), net.IPv4(10, 96, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, "apiserver")
	if err != nil {
		return err
	}
	if _, err := newKey(filepath.Join(dir, "sa.key")); err != nil {
		return err
	}
	var tokens bytes.Buffer
	trust := base64.StdEncoding.EncodeToString(encode("CERTIFICATE", authority.certificate.Raw))
	for _, it := range users {
		name, account, _ := strings.Cut(it, "=")
		user, group, _ := strings.Cut(account, ",")
		token := rand.Text()
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token, user, user, group)
		config := fmt.Appendf(nil, kubeconfig, server, trust, user, token)
		if err := os.WriteFile(filepath.Join(dir, name+".kubeconfig"), config, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "tokens.csv"), tokens.Bytes(), 0o600)
}

type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// certify writes NAME.key and NAME.crt: the wish, signed by the issuer or, where there is none, by itself.
func certify(dir string, by *issuer, wish x509.Certificate, name string) (*issuer, error) {
	key, err := newKey(filepath.Join(dir, name+".key"))
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	wish.SerialNumber = serial
	wish.BasicConstraintsValid = true
	wish.NotBefore = time.Now().Add(-time.Minute)
	wish.NotAfter = time.Now().AddDate(1, 0, 0)
	if by == nil {
		by = &issuer{&wish, key}
	}
	signed, err := x509.CreateCertificate(rand.Reader, &wish, by.certificate, &key.PublicKey, by.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(signed)
	if err != nil {
		return nil, err
	}
	return &issuer{certificate, key}, os.WriteFile(filepath.Join(dir, name+".crt"), encode("CERTIFICATE", signed), 0o644)
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, encode("EC PRIVATE KEY", der), 0o600)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
