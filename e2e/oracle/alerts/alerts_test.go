// Evaluates the alerts and the dashboard in manifests/components/monitoring with Prometheus' own engine.
package alerts

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"go.yaml.in/yaml/v3"
)

const monitoring = "../../../manifests/components/monitoring/"

// An example is an alert, samples of one a minute in the notation of promtool, and whether it holds at the last of them.
type example struct {
	alert string
	it    string
	holds bool
	given []string
}

const (
	expiry     = `callgate_certificate_expiry_timestamp_seconds{job="callgate",pod="a"} `
	failures   = `callgate_certificate_reload_failures_total{job="callgate",pod="a"} `
	contact    = `callgate_cluster_contact_timestamp_seconds{job="callgate",pod="a"} `
	confirmed  = `callgate_watch_confirmed_timestamp_seconds{job="callgate",pod="a",object="nodes"} `
	strange    = `callgate_objects_unreadable{job="callgate",pod="a",object="nodes"} `
	silent     = `callgate_agents_silent{job="callgate",pod="a"} `
	clock      = `callgate_clock_ahead_seconds{job="callgate",pod="a"} `
	putBack    = `callgate_bundles_put_back_total{job="callgate",pod="a",configuration="mutating"} `
	notKept    = `callgate_authority_failures_total{job="callgate",pod="a"} `
	unreadable = `callgate_policies_unreadable{job="callgate",pod="a"} `
	newer      = `callgate_policies_of_newer_versions{job="callgate",pod="a"} `
	denied     = `callgate_reviews_total{job="callgate",pod="a",verdict="denied"} `
	shed       = `callgate_requests_shed_total{job="callgate",pod="a"} `
	refused    = `callgate_connections_refused_total{job="callgate",pod="a"} `
	noRoom     = `callgate_bodies_shed_total{job="callgate",pod="a"} `
	replaced   = `callgate_connections_replaced_total{job="callgate",pod="a"} `
	dropped    = `callgate_log_lines_dropped_total{job="callgate",pod="a"} `
	unread     = `callgate_reviews_total{job="callgate",pod="a",verdict="unreadable"} `
	answers    = `up{job="callgate-agent",node="a"} `
	reported   = `callgate_agent_report_timestamp_seconds{job="callgate-agent",node="a"} `
	nodeClock  = `callgate_agent_clock_ahead_seconds{job="callgate-agent",node="a"} `
	wanted     = `callgate_agent_profiles{job="callgate-agent",node="a",state="wanted"} `
	installed  = `callgate_agent_profiles{job="callgate-agent",node="a",state="installed"} `
	obstacles  = `callgate_agent_errors_total{job="callgate-agent",node="a",kind="disk-full"} `
	unlisted   = `callgate_agent_files_unlisted{job="callgate-agent",node="a"} `
	against    = `callgate_containers_against_spec{job="callgate-agent",node="a"} `
	failOpen   = `apiserver_admission_webhook_fail_open_count{name="mutate.callgate.dev",instance="a"} `
)

var examples = []example{
	{"CallgateAbsent", "no replica has ever been seen", true, nil},
	{"CallgateAbsent", "no replica answers", true, []string{`up{job="callgate",pod="a"} 0x5`, `up{job="callgate",pod="b"} 0x5`}},
	{"CallgateAbsent", "one replica answers", false, []string{`up{job="callgate",pod="a"} 0x5`, `up{job="callgate",pod="b"} 1x5`}},
	{"CallgateCertificateExpires", "in less than a day", true, []string{expiry + "86999x10"}},
	{"CallgateCertificateExpires", "in a day", false, []string{expiry + "87000x10"}},
	{"CallgateCertificateNotReloaded", "once", true, []string{failures + "0x5 1x5"}},
	{"CallgateCertificateNotReloaded", "long ago", false, []string{failures + "0x5 1x30"}},
	{"CallgateOutOfTouch", "for ten minutes", true, []string{contact + "0x10"}},
	{"CallgateOutOfTouch", "for five minutes", false, []string{contact + "0x5"}},
	{"CallgateOutOfTouch", "never", false, []string{contact + "0+60x10"}},
	{"CallgateBehind", "for a minute", true, []string{confirmed + "0x1"}},
	{"CallgateBehind", "for fourteen seconds", false, []string{confirmed + "-14+60x10"}},
	{"CallgateBehind", "for sixteen seconds", true, []string{confirmed + "-16+60x10"}},
	{"CallgateObjectUnreadable", "one", true, []string{strange + "1x1"}},
	{"CallgateObjectUnreadable", "none", false, []string{strange + "0x1"}},
	{"CallgateAgentsSilent", "one, by one replica", true, []string{silent + "1x1", strings.Replace(silent, `"a"`, `"b"`, 1) + "0x1"}},
	{"CallgateAgentsSilent", "none", false, []string{silent + "0x1"}},
	{"CallgateClockDiffers", "more than a minute ahead", true, []string{clock + "61x5"}},
	{"CallgateClockDiffers", "a year behind", true, []string{clock + "-31536000x5"}},
	{"CallgateClockDiffers", "a minute", false, []string{clock + "60x5"}},
	{"CallgateBundleOverwritten", "once a minute", true, []string{putBack + "0+1x10"}},
	{"CallgateBundleOverwritten", "restored by both replicas in turn", true, []string{putBack + "0 0 1 1 2 2 3 3 4 4 4", strings.Replace(putBack, `"a"`, `"b"`, 1) + "0 1 1 2 2 3 3 4 4 4 4"}},
	{"CallgateBundleOverwritten", "once", false, []string{putBack + "0x5 1x5"}},
	{"CallgateAuthorityNotKept", "twice a minute", true, []string{notKept + "0+2x10"}},
	{"CallgateAuthorityNotKept", "a few times", false, []string{notKept + "0x5 4x5"}},
	{"CallgatePolicyUnreadable", "one", true, []string{unreadable + "1x1"}},
	{"CallgatePolicyUnreadable", "none", false, []string{unreadable + "0x1"}},
	{"CallgatePolicyOfNewerVersion", "one", true, []string{newer + "1x1"}},
	{"CallgatePolicyOfNewerVersion", "none", false, []string{newer + "0x1"}},
	{"CallgateDenialsSurge", "twenty a minute, after a quiet day", true, []string{denied + "0x1400 20+20x40"}},
	{"CallgateDenialsSurge", "nine a minute, after a quiet day", false, []string{denied + "0x1400 9+9x40"}},
	{"CallgateDenialsSurge", "twenty a minute, as all day", false, []string{denied + "0+20x1440"}},
	{"CallgateOverloaded", "a request is shed", true, []string{shed + "0x5 1x4", refused + "0x10", noRoom + "0x10"}},
	{"CallgateOverloaded", "a connection is refused", true, []string{shed + "7x10", refused + "7x5 8x4", noRoom + "0x10"}},
	{"CallgateOverloaded", "a body has no room", true, []string{shed + "7x10", refused + "8x10", noRoom + "0x5 1x4"}},
	{"CallgateOverloaded", "not lately", false, []string{shed + "7x10", refused + "8x10", noRoom + "9x10"}},
	{"CallgateCrowded", "a connection makes room", true, []string{replaced + "7x5 8x4"}},
	{"CallgateCrowded", "not lately", false, []string{replaced + "7x10"}},
	{"CallgateLogLinesDropped", "some", true, []string{dropped + "0x5 7x5"}},
	{"CallgateLogLinesDropped", "some of an agent's", true, []string{strings.Replace(dropped, `"callgate"`, `"callgate-agent"`, 1) + "0x5 7x5"}},
	{"CallgateLogLinesDropped", "long ago", false, []string{dropped + "0x5 7x30"}},
	{"CallgateReviewUnreadable", "the first", true, []string{unread + "_x5 1x5"}},
	{"CallgateReviewUnreadable", "another", true, []string{unread + "1x20 2x5"}},
	{"CallgateReviewUnreadable", "not lately", false, []string{unread + "_x5 1x20"}},
	{"CallgateNotReached", "the first", true, []string{failOpen + "_x5 1x5"}},
	{"CallgateNotReached", "another", true, []string{failOpen + "1x20 2x5"}},
	{"CallgateNotReached", "not lately", false, []string{failOpen + "_x5 1x20"}},
	{"CallgateNotReached", "another webhook", false, []string{strings.Replace(failOpen, "callgate", "example", 1) + "0x5 1x5"}},
	{"CallgateAgentDown", "one", true, []string{answers + "0x5", strings.Replace(answers, `"a"`, `"b"`, 1) + "1x5"}},
	{"CallgateAgentDown", "none", false, []string{answers + "1x5"}},
	{"CallgateAgentDown", "there are no agents", false, nil},
	{"CallgateAgentOutOfTouch", "never reported anything", true, []string{reported + "0x20"}},
	{"CallgateAgentOutOfTouch", "reported five minutes ago", false, []string{reported + "900x20"}},
	{"CallgateAgentClockDiffers", "a year ahead", true, []string{nodeClock + "31536000x5"}},
	{"CallgateAgentClockDiffers", "more than a minute behind", true, []string{nodeClock + "-61x5"}},
	{"CallgateAgentClockDiffers", "a minute", false, []string{nodeClock + "60x5"}},
	{"CallgateAgentProfilesNotInstalled", "one of three", true, []string{wanted + "3x5", installed + "2x5"}},
	{"CallgateAgentProfilesNotInstalled", "none is missing", false, []string{wanted + "3x5", installed + "3x5"}},
	{"CallgateAgentFailing", "at every pass", true, []string{obstacles + "0+6x10"}},
	{"CallgateAgentFailing", "twice", false, []string{obstacles + "0x5 2x5"}},
	{"CallgateAgentFailing", "as the API server is away", false, []string{strings.Replace(obstacles, "disk-full", "report", 1) + "0+6x10"}},
	{"CallgateAgentReportsCut", "some files", true, []string{unlisted + "7x5"}},
	{"CallgateAgentReportsCut", "none", false, []string{unlisted + "0x5"}},
	{"CallgateContainerUnfiltered", "one", true, []string{against + "1x5"}},
	{"CallgateContainerUnfiltered", "none", false, []string{against + "0x5"}},
}

func TestAlertsHoldWhenTheyShould(t *testing.T) {
	rules := alerts(t)
	seen := map[string]map[bool]bool{}
	for _, rule := range rules {
		seen[rule.Alert] = map[bool]bool{}
	}
	for _, it := range examples {
		t.Run(it.alert+": "+it.it, func(t *testing.T) {
			if seen[it.alert] == nil {
				t.Fatal("there is no such alert")
			}
			seen[it.alert][it.holds] = true
			for _, rule := range rules {
				if rule.Alert == it.alert && holds(t, rule.Expr, it.given) != it.holds {
					t.Errorf("expected %t of %s", it.holds, rule.Expr)
				}
			}
		})
	}
	for alert, outcomes := range seen {
		if !outcomes[true] || !outcomes[false] {
			t.Errorf("%s: there are no examples of both outcomes", alert)
		}
	}
}

func TestPanelsAskForSomething(t *testing.T) {
	text, err := os.ReadFile(monitoring + "callgate.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			count++
			// What Grafana puts in.
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "2m")
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(expr); err != nil {
				t.Errorf("%s: %v", target.Expr, err)
			}
		}
	}
	if count < 8 {
		t.Errorf("only %d expressions", count)
	}
}

// alerts reads the rules as Prometheus does: strictly, with their expressions and templates.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile(monitoring + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var object struct{ Spec yaml.Node }
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	spec, err := yaml.Marshal(&object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
	for _, err := range errs {
		t.Error(err)
	}
	if len(errs) > 0 || len(groups.Groups) != 1 {
		t.Fatal("one sound group is expected")
	}
	return groups.Groups[0].Rules
}

func holds(t *testing.T, expr string, given []string) bool {
	t.Helper()
	var series []storage.Series
	last := int64(0)
	for _, line := range given {
		metric, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(line)
		if err != nil {
			t.Fatal(err)
		}
		chunk := chunkenc.NewXORChunk()
		samples, err := chunk.Appender()
		if err != nil {
			t.Fatal(err)
		}
		for at, it := range values {
			if last = int64(at) * 60_000; !it.Omitted {
				samples.Append(0, last, it.Value)
			}
		}
		series = append(series, &storage.SeriesEntry{Lset: metric, SampleIteratorFn: chunk.Iterator})
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})
	querier := &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, wanted ...*labels.Matcher) storage.SeriesSet {
		found := &set{}
		for _, it := range series {
			if all(wanted, it.Labels()) {
				found.series = append(found.series, it)
			}
		}
		return found
	}}
	queryable := &storage.MockQueryable{MockQuerier: querier}
	query, err := engine.NewInstantQuery(context.Background(), queryable, nil, expr, time.UnixMilli(last))
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		t.Fatal(err)
	}
	return len(vector) > 0
}

func all(wanted []*labels.Matcher, of labels.Labels) bool {
	for _, it := range wanted {
		if !it.Matches(of.Get(it.Name)) {
			return false
		}
	}
	return true
}

// A set of series in memory.
type set struct {
	series []storage.Series
	next   int
}

func (it *set) Next() bool                        { it.next++; return it.next <= len(it.series) }
func (it *set) At() storage.Series                { return it.series[it.next-1] }
func (it *set) Err() error                        { return nil }
func (it *set) Warnings() annotations.Annotations { return nil }
