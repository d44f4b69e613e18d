package statistics

import "testing"

func TestNothingThatIsWrittenInSQLChangesAnything(t *testing.T) {
	f := newFixture(t, 7, nil, 20)
	const count = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM duckdb_tables())"
	before, err := f.SQL(t.Context(), count, 1)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text string }{
		{"a removal", "DELETE FROM sessions"},
		{"a removal before a question", "DELETE FROM sessions; SELECT 1"},
		{"a removal after a question", "SELECT 1; DELETE FROM sessions"},
		{"a table before a question", "CREATE TABLE mine (n INTEGER); SELECT 1"},
		{"two questions", "SELECT 1; SELECT 2"},
		{"a transaction that is ended first", "ROLLBACK; DELETE FROM sessions; SELECT 1"},
		{"a setting", "SET threads = 1"},
		{"a setting before a question", "SET threads = 1; SELECT 1"},
		{"a copy into a file", "COPY sessions TO 'sessions.csv'"},
		{"another database", "ATTACH ':memory:' AS other; SELECT 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := f.SQL(t.Context(), tt.text, 1); err == nil {
				t.Errorf("%s was answered", tt.text)
			}
			after, err := f.SQL(t.Context(), count, 1)
			if err != nil || after.Rows[0][0] != before.Rows[0][0] || after.Rows[0][1] != before.Rows[0][1] {
				t.Fatalf("after %s there are %v, %v; before there were %v", tt.text, after, err, before.Rows)
			}
		})
	}
	if _, err := f.SQL(t.Context(), "SELECT ';' ; -- one question, and what follows is nothing", 1); err != nil {
		t.Errorf("one question with an end: %v", err)
	}
	if _, err := f.SQL(t.Context(), "EXPLAIN ANALYZE DELETE FROM sessions", 1); err == nil {
		t.Error("an EXPLAIN that would remove sessions was answered")
	}
}
