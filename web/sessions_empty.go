package web

import (
	"fmt"
	"time"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// asWritten reminds of how texts are compared, where that may be why nothing was found.
func asWritten(f statistics.Filter) string {
	if f.Stream == "" && f.User == "" {
		return ""
	}
	return " Stream and user are compared as written, upper and lower case too; *paper* finds a part of a stream's name."
}

// nothing says why a list is empty, and what to do about it.
func (v *service) nothing(q *request, ask *asking, states []statistics.MonthState) *empty {
	if ask.view.Cursor != "" {
		return &empty{Title: "Nothing is left on this page", Help: "The list has changed since.", Href: ask.address(nil), Link: "Begin with its first page"}
	}
	days := daysText(ask.view.Filter)
	if chips := v.chips(q, ask); len(chips) > 0 {
		texts := make([]string, 0, len(chips))
		for _, c := range chips {
			texts = append(texts, c.Text)
		}
		return &empty{Title: "No session passes this filter", Help: fmt.Sprintf("Of %s there is none with %s.", days, joinTexts(texts)) + asWritten(ask.view.Filter),
			Href: ask.clear(), Link: "Remove all filters but the days"}
	}
	out := &empty{Title: "No sessions", Help: fmt.Sprintf("Nothing is known of %s. Statistics follow each run of the reports by about a minute.", days)}
	within := statesWithin(states, ask.view.Filter)
	if len(within) > 0 {
		out.Help = fmt.Sprintf("No session began on %s, as far as the runs know that these figures are of.", days)
	}
	if removed := ask.removedNote(within); len(removed) > 0 {
		out.Help = fmt.Sprintf("There is no session of %s. Some of these months were removed because of their age (privacy.keep).", days)
	} else if why := v.withoutSessions(within); why != "" {
		out.Help += " " + why
	}
	if month, ok := nearestMonth(states, ask.view.Filter, v.Now().UTC()); ok {
		out.Href, out.Link = ask.filtered(ask.view.Tab, monthFilter(month), ""), "Show "+monthName(month)
	}
	return out
}

// nearestMonth is the month with sessions that is the nearest to the days of a filter, of two the newer; ok: there is one that
// has days which the filter does not have, and which have come.
func nearestMonth(states []statistics.MonthState, f statistics.Filter, now time.Time) (month schemas.Period, ok bool) {
	best := 0
	for _, s := range states {
		days := monthFilter(s.Period)
		seen := (f.From == "" || f.From <= days.From) && (f.To == "" || f.To >= min(days.To, now.Format(time.DateOnly)))
		if s.Rows == 0 || overlaps(s.Period, f) && seen {
			continue
		}
		away := monthsAway(s.Period, f)
		if !ok || away < best || away == best && s.Period.Start().After(month.Start()) {
			month, best, ok = s.Period, away, true
		}
	}
	return month, ok
}

// monthsAway is how many months lie between a month and the days of a filter, which was checked.
func monthsAway(p schemas.Period, f statistics.Filter) int {
	if overlaps(p, f) {
		return 0
	}
	day := f.To // the month is later
	if monthFilter(p).To < f.From {
		day = f.From
	}
	at, _ := time.Parse(time.DateOnly, day)
	start := p.Start()
	away := (start.Year()-at.Year())*12 + int(start.Month()) - int(at.Month())
	return max(away, -away)
}
