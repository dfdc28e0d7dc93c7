package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

const patience = time.Minute

// ready returns when url answers 200, the server's certificate being signed by the authority.
func ready(authority, url string) error {
	trusted, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted)
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		answer, err := client.Get(url)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s answers %s", url, answer.Status)
		}
		if time.Since(start) > patience {
			return fmt.Errorf("not ready after %v: %w", patience, err)
		}
	}
}
