def line(result, threads):
    return result["name"] + " " + " ".join(f"{n}={min(c['cpu'])*1e3:.4g}" if c.get('cpu') else f"{n}:{c}" for n,c in result.get("contenders",{}).items()) + str(result.get("failed",""))
def text(record): return ""
def write(record, output): pass
