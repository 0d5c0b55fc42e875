package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRepositoryThatRedirects(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer elsewhere.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch left, err := strconv.Atoi(r.URL.Path[1:]); {
		case r.URL.Path == "/plain":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case r.URL.Path == "/elsewhere":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case err == nil && left > 0:
			http.Redirect(w, r, "/"+strconv.Itoa(left-1), http.StatusFound)
		}
	}))
	defer server.Close()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	client, err := updateOrders{CA: authority}.client(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for path, want := range map[string]string{
		"/5":         "",
		"/6":         "redirects more than 5 times",
		"/elsewhere": "",
		"/plain":     "redirects from https to http",
	} {
		answer, err := client.Get(server.URL + path)
		if err == nil {
			answer.Body.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
