package senaitetest

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds a request; a message is at most a few MiB.
const maxBody = 64 << 20

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint, isAPI := strings.CutPrefix(r.URL.Path, api)
	s.mu.Lock()
	s.requests[endpoint]++
	mode, changed, slow := s.mode, s.changed, s.slow
	resource, uid, isObject := object(endpoint)
	if reads := endpoint == "search" || isObject; reads {
		slow = s.slowReading
		if mode == Up {
			mode = s.reading
		}
	}
	s.mu.Unlock()

	// The body is read in every mode: whoever sends it knows then that it
	// arrived.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "too large")
		return
	}
	code, isStatus := strings.CutPrefix(string(mode), "status ")
	switch {
	case isStatus:
		n, _ := strconv.Atoi(code)
		fail(w, n, http.StatusText(n))
	case mode == Down, mode == Cut:
		panic(http.ErrAbortHandler)
	case mode == Hang:
		select {
		case <-r.Context().Done():
		case <-changed:
		}
		panic(http.ErrAbortHandler)
	case mode == NotJSON:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Down for maintenance</body></html>")
	case mode == Login:
		http.Redirect(w, r, "/senaite/acl_users/credentials_cookie_auth/require_login?came_from="+r.URL.Path, http.StatusFound)
	case !isAPI:
		http.NotFound(w, r)
	case endpoint == "version" && r.Method == http.MethodGet:
		answer(w, http.StatusOK, map[string]any{"url": s.URL + "/@@API/senaite/v1/version", "version": "1.0.0", "date": "2023-01-01"})
	case endpoint == "users/current" && r.Method == http.MethodGet:
		s.currentUser(w, r)
	case endpoint == "push" && r.Method == http.MethodPost:
		wait(r, changed, slow)
		s.push(w, r, body)
	case endpoint == "search" && r.Method == http.MethodGet:
		wait(r, changed, slow)
		if mode == Half {
			half(w)
			return
		}
		s.search(w, r)
	case isObject && r.Method == http.MethodGet:
		wait(r, changed, slow)
		s.object(w, r, resource, uid)
	default:
		http.NotFound(w, r)
	}
}

// object takes apart UID and RESOURCE/UID.
func object(endpoint string) (resource, uid string, is bool) {
	resource, uid, is = strings.Cut(endpoint, "/")
	if !is {
		resource, uid = "", endpoint
	}
	return resource, uid, len(uid) == 32
}

// wait takes the time that a slow SENAITE takes.
func wait(r *http.Request, changed <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-changed:
	}
}

func (s *Server) anonymous(r *http.Request) bool {
	username, password, _ := r.BasicAuth()
	s.mu.Lock()
	defer s.mu.Unlock()
	return subtle.ConstantTimeCompare([]byte(username), []byte(s.username))&
		subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) != 1
}

func (s *Server) currentUser(w http.ResponseWriter, r *http.Request) {
	user := map[string]any{"username": "Anonymous User", "authenticated": false, "roles": []string{"Anonymous"}}
	if !s.anonymous(r) {
		name, _, _ := r.BasicAuth()
		user = map[string]any{"username": name, "authenticated": true, "roles": []string{"Manager", "Authenticated"}, "groups": []string{}}
	}
	answer(w, http.StatusOK, map[string]any{"count": 1, "pages": 1, "page": 1, "items": []any{user}})
}

// push is senaite.jsonapi's route and the stock consumer behind it.
func (s *Server) push(w http.ResponseWriter, r *http.Request, body []byte) {
	if s.anonymous(r) {
		fail(w, http.StatusUnauthorized, "Anonymous user")
		return
	}
	record, code, problem := parse(r, body)
	if problem != "" {
		fail(w, code, problem)
		return
	}
	consumer, _ := record["consumer"].(string)
	if consumer == "" {
		fail(w, http.StatusInternalServerError, "No consumer name provided")
		return
	}
	s.mu.Lock()
	mode, known := s.mode, s.consumers[consumer]
	s.mu.Unlock()
	switch {
	case !known:
		fail(w, http.StatusInternalServerError, "No consumer registered for name="+consumer)
		return
	case mode == Unsuccessful:
		answer(w, http.StatusOK, map[string]any{"url": s.URL, "success": false})
		return
	}
	if problem := s.consume(consumer, messages(record["messages"]), r.Header); problem != "" {
		fail(w, http.StatusInternalServerError, problem)
		return
	}
	if mode == Half {
		half(w)
		return
	}
	answer(w, http.StatusOK, map[string]any{"url": s.URL + "/@@API/senaite/v1/push", "success": true})
}

// consume is the stock consumer. One message that it fails at ends the request,
// and nothing of the request counts as taken. What the importer has made of the
// messages before it stays: senaite.jsonapi turns the exception into an answer,
// and Zope takes nothing back.
func (s *Server) consume(consumer string, messages []any, header http.Header) (problem string) {
	if len(messages) == 0 {
		return "No messages found"
	}
	s.mu.Lock()
	poison := s.poison
	s.mu.Unlock()
	var taken []Push
	for _, message := range messages {
		text, isText := message.(string)
		importable := false
		if isText { // json.loads of anything else is an error, as of text that is no JSON
			importable, problem = inspect(text)
			if consumer != StockConsumer {
				problem = "" // its maker's affair
			}
		} else {
			text = encode(message)
		}
		if poison != nil && poison(text) {
			problem = "'NoneType' object has no attribute 'get'"
		}
		if problem != "" {
			return problem
		}
		if importable {
			s.importMessage(text)
		}
		taken = append(taken, Push{consumer, text, time.Now(), header.Clone(), importable})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes = append(s.pushes, taken...)
	return ""
}

// inspect says what the stock consumer does with a message before an importer
// sees it. What is not JSON it logs and passes over; with several headers no
// importer finds the order; where it looks for the sender's name and there is
// no place for one, it fails.
func inspect(message string) (importable bool, problem string) {
	var data any
	if json.Unmarshal([]byte(message), &data) != nil || data == nil {
		return false, ""
	}
	record, ok := data.(map[string]any)
	if !ok {
		return false, "the message has no attribute 'get'"
	}
	headers, ok := record["H"].([]any)
	if !ok {
		return false, "object of type 'NoneType' has no len()"
	}
	if len(headers) == 0 {
		return false, "list index out of range"
	}
	first, _ := headers[0].(map[string]any)
	value, named := first["sender"]
	if !named {
		return false, ""
	}
	sender, ok := value.(map[string]any)
	if !ok {
		return false, "'NoneType' object has no attribute 'get'"
	}
	name, named := sender["name"]
	text, ok := name.(string)
	if named && !ok {
		return false, "Argument must be a string"
	}
	return text != "" && len(headers) == 1, ""
}

func fail(w http.ResponseWriter, code int, text string) {
	answer(w, code, map[string]any{"success": false, "message": text})
}

func answer(w http.ResponseWriter, code int, value map[string]any) {
	value["_runtime"] = 0.0042
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(text)
}

// half begins an answer and closes the connection.
func half(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "100")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, `{"succ`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
