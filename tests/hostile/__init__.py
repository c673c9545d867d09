"""What would somebody write who wants a reader of psk to run, import, connect or allocate?"""
