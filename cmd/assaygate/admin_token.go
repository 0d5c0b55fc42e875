package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
)

// tokenKeeper asks for the token in a file, which may change at any time.
type tokenKeeper struct {
	file string
	fail func(error) // told once of each reason for which the file cannot be used

	mu    sync.Mutex
	seen  fs.FileInfo // of the file that token was read from
	token string      // "" while there is none that could be used
	said  string
}

// asking lets only requests through that show the token.
func (k *tokenKeeper) asking(next http.Handler, refused func(*http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if shown, is := bearer(r); !is || !k.matches(shown) {
			refused(r)
			w.Header().Set("WWW-Authenticate", `Bearer realm="assaygate admin"`)
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "this endpoint wants the token of admin.token_file: Authorization: Bearer TOKEN", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bearer is the token of a request (RFC 6750 2.1).
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// matches compares in a time that tells nothing of the token, nor of its length.
func (k *tokenKeeper) matches(shown string) bool {
	token := k.current()
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && token != ""
}

// current is the token as its file has it now, "" where that has none: then nobody
// is let in.
func (k *tokenKeeper) current() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.file)
	if err == nil && k.seen != nil && os.SameFile(info, k.seen) && info.Size() == k.seen.Size() && info.ModTime().Equal(k.seen.ModTime()) {
		return k.token
	}
	k.token, k.seen = "", nil
	if err == nil {
		k.token, err = adminToken(k.file)
	}
	switch {
	case err != nil:
		k.say(err)
	case k.token == "":
		k.say(&fs.PathError{Op: "read", Path: k.file, Err: errEmpty})
	default:
		k.seen, k.said = info, ""
	}
	return k.token
}

func (k *tokenKeeper) say(err error) {
	if k.said != err.Error() {
		k.said = err.Error()
		k.fail(err)
	}
}

// askingToken is a handler that wants the token in the file.
func (d *daemon) askingToken(file string, next http.Handler) http.Handler {
	keeper := &tokenKeeper{file: file, fail: func(err error) {
		d.log.Error("the token of the admin endpoint cannot be used, so nobody is let in", "file", file, "error", err)
	}}
	keeper.current() // says at once what is wrong with it
	return keeper.asking(next, func(r *http.Request) {
		if r.RemoteAddr != nowhere { // whether the server lives is no secret, and the answer does not count
			d.refused(adminServer, refusedToken, r.RemoteAddr)
		}
	})
}
